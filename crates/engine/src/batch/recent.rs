//! How many of the last events were alerts: whether reasons may still be exact.
//!
//! batch -> **recent**
//!
//! Counted by sequence, so that it does not depend on batches or workers.

use crate::limits::REASONS_SHARE_EVENTS;

/// Alerts among the last [`REASONS_SHARE_EVENTS`] sequence numbers.
#[derive(Debug)]
pub(crate) struct Recent {
    /// One flag a sequence number, in a ring.
    flags: Vec<bool>,
    next: usize,
    alerts: usize,
    /// More alerts than this among them: reasons are cheap.
    alerts_max: f64,
}

impl Recent {
    pub(crate) fn new(max_share: f64) -> Self {
        Self {
            flags: vec![false; REASONS_SHARE_EVENTS],
            next: 0,
            alerts: 0,
            alerts_max: max_share * REASONS_SHARE_EVENTS as f64,
        }
    }

    /// Places in the ring of the alerts, which are sequence numbers modulo its length.
    pub(crate) fn alerts(&self) -> Vec<u32> {
        (0..).zip(&self.flags).filter(|(_, is_alert)| **is_alert).map(|(place, _)| place).collect()
    }

    /// The ring as it was before a sequence number.
    pub(crate) fn restore(&mut self, next_sequence: u64, alerts: &[u32]) {
        self.flags.fill(false);
        for &place in alerts {
            if let Some(flag) = self.flags.get_mut(place as usize) {
                *flag = true;
            }
        }
        self.alerts = self.flags.iter().filter(|is_alert| **is_alert).count();
        self.next = (next_sequence % self.flags.len() as u64) as usize;
    }

    /// Notes the next record and returns whether an alert for it would come after too many.
    pub(crate) fn note(&mut self, is_alert: bool) -> bool {
        let too_many = self.alerts as f64 > self.alerts_max;
        let old = std::mem::replace(&mut self.flags[self.next], is_alert);
        self.alerts = self.alerts + usize::from(is_alert) - usize::from(old);
        self.next = (self.next + 1) % self.flags.len();
        too_many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_past_the_share_are_cheap_until_old_ones_leave() {
        let mut recent = Recent::new(0.01);
        for _ in 0..101 {
            assert!(!recent.note(true), "up to 101: one more than 1 % of 10,000");
        }
        assert!(recent.note(true));
        for _ in 0..(REASONS_SHARE_EVENTS - 102) {
            assert!(recent.note(false));
        }
        assert!(recent.note(false) && recent.note(false), "the first and the second alert leave");
        assert!(!recent.note(false), "100 are left");
    }
}
