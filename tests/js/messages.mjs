// Messages that a codec may get wrong.

export const TEXTS = ["hello", "", "é€ß漢字", "😀 👩‍👩‍👧 𝒳", "\u0000\u0001\u0007\t\r\n\\n\u007f\u2028\u2029", "4", "b64", "!nothing", "2probe"];

export const BINARIES = [[], [0], [1, 2, 3], [0x1e, 0xff, 0x1e], Array.from({ length: 256 }, (_, i) => i)].map((b) => Buffer.from(b));
