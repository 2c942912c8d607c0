//! Rules of the acknowledgements of a broadcast.

use alloc::vec;

use super::*;
use crate::{AckError, DisconnectReason};

const REASON: DisconnectReason = DisconnectReason::TransportClose;

fn group(members: usize) -> AckGroup<char> {
    AckGroup::new((0..members).map(id))
}

fn all(group: &mut AckGroup<char>) -> Vec<(Option<SocketId>, Result<char, AckError>)> {
    let mut responses = Vec::new();
    while let Some(AckResponse { from, result }) = group.poll() {
        responses.push((from, result));
    }
    responses
}

#[test]
fn answers_come_in_the_order_in_which_they_were_given() {
    let mut group = group(3);
    assert!(group.answer("s2", Ok('c')) && group.answer("s0", Ok('a')));
    assert_eq!(all(&mut group), [(Some(id(2)), Ok('c')), (Some(id(0)), Ok('a'))]);
    assert!(!group.is_complete());
    assert_eq!(group.unanswered().collect::<Vec<_>>(), [&id(1)]);
    assert!(group.answer("s1", Ok('b')));
    assert!(group.is_complete());
    assert_eq!(all(&mut group), [(Some(id(1)), Ok('b'))]);
}

#[test]
fn first_answer_counts_and_strangers_are_ignored() {
    let mut group = group(2);
    assert!(group.answer("s0", Ok('a')));
    assert!(
        !group.answer("s0", Ok('b'))
            && !group.answer("s7", Ok('c'))
            && !group.disconnected("s0", REASON)
    );
    assert_eq!(all(&mut group), [(Some(id(0)), Ok('a'))]);
}

#[test]
fn group_without_members_is_complete() {
    assert!(group(0).is_complete());
}

#[test]
fn expired_group_keeps_answers_and_fails_the_rest_in_order() {
    let mut group = group(4);
    assert!(group.answer("s2", Ok('c')) && group.disconnected("s3", REASON));
    group.expire();
    assert!(group.is_complete());
    assert!(!group.answer("s0", Ok('a')), "too late");
    assert_eq!(group.unanswered().collect::<Vec<_>>(), [&id(0), &id(1)]);
    group.expire();
    let expected = vec![
        (Some(id(2)), Ok('c')),
        (Some(id(3)), Err(AckError::Disconnected(REASON))),
        (Some(id(0)), Err(AckError::Timeout)),
        (Some(id(1)), Err(AckError::Timeout)),
    ];
    assert_eq!(all(&mut group), expected);
}

#[test]
fn complete_group_does_not_expire() {
    let mut group = group(1);
    group.answer("s0", Ok('a'));
    group.expire();
    assert_eq!(all(&mut group), [(Some(id(0)), Ok('a'))]);
}

#[test]
fn remote_members_are_counted_whether_announced_first_or_last() {
    // What happens to the group, in every order.
    let steps: [fn(&mut AckGroup<char>); 5] = [
        |group| group.expect_nodes(2),
        |group| group.expect_remote(1),
        |group| group.expect_remote(0),
        |group| assert!(group.answer("s0", Ok('a'))),
        |group| assert!(group.answer_remote(Ok('r'))),
    ];
    for order in 0..120 {
        let (mut group, mut left, mut order) =
            (AckGroup::clustered([id(0)]), steps.to_vec(), order);
        while !left.is_empty() {
            assert!(!group.is_complete());
            left.remove(order % left.len())(&mut group);
            order /= left.len() + 1;
        }
        assert!(group.is_complete());
        assert!(!group.answer_remote(Ok('x')), "one too many");
        let mut answers: Vec<_> = all(&mut group).into_iter().map(|(_, answer)| answer).collect();
        answers.sort_by_key(|answer| *answer.as_ref().unwrap());
        assert_eq!(answers, [Ok('a'), Ok('r')]);
    }
}

#[test]
fn expired_group_fails_announced_remote_members_and_tells_missing_nodes() {
    let mut group = AckGroup::clustered([]);
    assert_eq!(group.missing_nodes(), None);
    group.expect_remote(3);
    group.expect_nodes(2);
    assert!(group.answer_remote(Ok('r')));
    group.expire();
    assert!(group.is_complete() && !group.answer_remote(Ok('s')));
    let timeout = (None, Err(AckError::Timeout));
    assert_eq!(all(&mut group), [(None, Ok('r')), timeout.clone(), timeout]);
    assert_eq!(group.missing_nodes(), Some(1));
}

#[test]
fn lost_node_is_not_waited_for() {
    let mut group = AckGroup::<char>::clustered([]);
    group.expect_nodes(2);
    group.expect_remote(0);
    assert!(!group.is_complete());
    group.expect_nodes(1);
    assert!(group.is_complete());
}
