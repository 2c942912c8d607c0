// The account of the admin UI on all servers under test. `sio_contract.rs` of `tests/src` has the same.

export const USERNAME = "admin";

export const PASSWORD = "correctPassword";

/** Of the password, of the least cost. */
export const HASH = "$2b$04$b2cxG2NvAFwoh.BYxbc./O/YDD/XzL6NfzHPI7Ffs/kE/IMPDoG2y";
