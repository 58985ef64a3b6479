//! The shards of a source: which are read now, and what the service says of them.
//!
//! lineage -> **shards** <- service

use super::{Listing, ShardSource, lost_records};
use crate::limits::{CLOCKS_DIFFER_MS, QUIET_TOLD_EVERY_MS};
use crate::queue::{Last, Queue};
use crate::service::{Event, From, Order, Service};
use cartguard_history::lineage::{Claim, Lineage, Lost};
use cartguard_history::{Beyond, Change, Place, Start};
use cartguard_io::Trouble;
use std::time::Duration;

impl<S: Service> ShardSource<S> {
    /// Opens what may open, and begins to read it.
    pub(super) fn settle(&mut self) -> Result<(), Trouble> {
        while self.is_unsettled {
            self.is_unsettled = false;
            let orders = self.lineage.orders(&self.partitions, |_| Claim::Mine);
            for change in orders.changes {
                self.tell(&change);
                match change {
                    Change::Open(opened) => self.open(opened)?,
                    change => self.decide(change)?,
                }
            }
            self.suspected.retain(|(shard, _)| orders.lost.iter().any(|lost| lost.shard == *shard));
            if let Some(lost) = orders.lost.first() {
                self.suspect(lost)?;
            }
            if orders.is_listing_short {
                self.list();
            }
        }
        self.start_readers();
        Ok(())
    }

    /// A loss counts once a listing that came after the first one says so again: that may be an old one.
    fn suspect(&mut self, lost: &Lost) -> Result<(), Trouble> {
        match self.suspected.iter().find(|(shard, _)| *shard == lost.shard) {
            Some((_, listing)) if *listing < self.listings => self.accept(lost),
            Some(_) => Ok(()),
            None => {
                self.suspected.push((lost.shard.clone(), self.listings));
                self.list();
                Ok(())
            }
        }
    }

    fn accept(&mut self, lost: &Lost) -> Result<(), Trouble> {
        if !self.settings.accept_gap {
            return Err(lost_records(&lost.to_string()));
        }
        self.service.say(&format!("gap accepted: {lost}"));
        for change in Lineage::accept(lost, &self.partitions) {
            self.decide(change)?;
        }
        Ok(())
    }

    fn tell(&self, change: &Change) {
        if let Change::Open(opened) = change {
            let start = match opened.start {
                Start::Oldest => "its oldest record".to_owned(),
                Start::At(ms) => format!("what arrived from {ms} ms on"),
            };
            self.service.say(&format!("{}: opened at {start}", opened.name));
        }
    }

    /// Readers for everything that is not finished.
    pub(super) fn start_readers(&mut self) {
        for partition in 0..self.partitions.list().len() as u32 {
            let is_read = self.shards.iter().any(|queue| queue.partition == partition);
            if !is_read && !self.partitions.list()[partition as usize].is_finished {
                self.start_reader(partition);
            }
        }
    }

    fn start_reader(&mut self, partition: u32) {
        let state = &self.partitions.list()[partition as usize];
        let shard = state.opened.name.clone();
        let (from, behind) = match (&state.beyond, &state.place) {
            (Some(Beyond::GoesOnAt(Place::Sequence { number, .. })), _) => (From::At(number.clone()), None),
            // Nothing of the record itself is left to be taken, and it may be past its retention.
            (Some(Beyond::NothingBefore(_)), Some(Place::Sequence { number, .. })) => {
                (From::After(number.clone()), None)
            }
            (_, Some(Place::Sequence { number, .. })) => (From::At(number.clone()), state.place.clone()),
            (_, Some(Place::Row { .. }) | None) => (state.opened.start.into(), None),
        };
        let metrics = self.metrics.of(&shard);
        let range = self.lineage.shard(&shard).map(|shard| shard.range);
        let order =
            Order { shard: shard.clone(), reading: self.next_reading, from, metrics: metrics.clone() };
        let room = self.service.read(order);
        let numbers = (partition, self.next_reading);
        self.next_reading += 1;
        self.shards.push(Queue::new(numbers, shard, range, behind, room, metrics));
    }

    /// Ends the reader of a partition and forgets what it received.
    pub(super) fn close(&mut self, partition: u32) {
        if let Some(at) = self.shards.iter().position(|queue| queue.partition == partition) {
            self.service.close(self.shards.remove(at).reading);
        }
    }

    /// Lists the shards again, after a while.
    fn list(&mut self) {
        if self.listing != Listing::UnderWay {
            self.service.list(self.listing == Listing::First);
            self.listing = Listing::UnderWay;
        }
    }

    fn hear(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            // What was closed may have sent before.
            Event::Records { reading, records, bytes } => {
                if let Some(queue) = self.reading(reading) {
                    queue.push(records, bytes);
                }
            }
            Event::Quiet { reading, at_ms } => {
                if let Some(queue) = self.reading(reading) {
                    queue.quiet_ms = Some(at_ms);
                }
            }
            Event::Lost { reading, next } => {
                if let Some(queue) = self.reading(reading) {
                    queue.last = Some(Last::Lost(next));
                }
            }
            Event::End { reading } => {
                if let Some(queue) = self.reading(reading) {
                    queue.last = Some(Last::End);
                }
            }
            Event::Gone { reading } => {
                if let Some(queue) = self.reading(reading) {
                    queue.last = Some(Last::Gone);
                    self.list();
                }
            }
            Event::Listed(shards) => {
                self.listing = Listing::Again;
                if !self.lineage.list(shards) {
                    self.list();
                    return Ok(());
                }
                self.listings += 1;
                self.is_unsettled = true;
                self.read_again();
            }
            Event::Fatal(trouble) => return Err(trouble),
        }
        Ok(())
    }

    /// A shard that the service did not know and lists all the same is read on.
    fn read_again(&mut self) {
        let lineage = &self.lineage;
        let is_again = |queue: &Queue| {
            queue.last == Some(Last::Gone) && queue.is_empty() && lineage.shard(&queue.shard).is_some()
        };
        let again: Vec<u32> =
            self.shards.iter().filter(|queue| is_again(queue)).map(|queue| queue.partition).collect();
        for partition in again {
            self.close(partition);
        }
    }

    pub(super) fn queue(&mut self, partition: u32) -> Option<&mut Queue> {
        self.shards.iter_mut().find(|queue| queue.partition == partition)
    }

    fn reading(&mut self, reading: u64) -> Option<&mut Queue> {
        self.shards.iter_mut().find(|queue| queue.reading == reading)
    }

    /// Takes in what the service sent, without waiting.
    pub(super) fn hear_all(&mut self) -> Result<(), Trouble> {
        while let Some(event) = self.service.next(Duration::ZERO) {
            self.hear(event)?;
        }
        Ok(())
    }

    /// Waits for what the service sends; whether something came.
    pub(super) fn hear_within(&mut self, patience: Duration) -> Result<bool, Trouble> {
        let Some(event) = self.service.next(patience) else { return Ok(false) };
        self.hear(event)?;
        self.hear_all()?;
        Ok(true)
    }

    /// Writes down, now and then, that a shard has nothing more.
    pub(super) fn tell_quiet(&mut self) -> Result<(), Trouble> {
        let mut quiet = Vec::new();
        for queue in self.shards.iter_mut().filter(|queue| queue.is_empty()) {
            let Some(at_ms) = queue.quiet_ms.take() else { continue };
            let known = match self.partitions.list()[queue.partition as usize].beyond {
                Some(Beyond::NothingBefore(ms)) => Some(ms),
                // Something is there, as far as anybody knows.
                Some(Beyond::GoesOnAt(_)) => continue,
                None => queue.arrival_ms,
            };
            if known.is_none_or(|ms| ms < at_ms - QUIET_TOLD_EVERY_MS) {
                let until_ms = at_ms - CLOCKS_DIFFER_MS;
                quiet.push(Change::Quiet { partition: queue.partition, until_ms });
            }
        }
        quiet.into_iter().try_for_each(|change| self.decide(change))
    }

    /// Finishes shards whose last record was taken.
    pub(super) fn finish(&mut self) -> Result<(), Trouble> {
        let ended: Vec<u32> = self
            .shards
            .iter()
            .filter(|queue| queue.last == Some(Last::End) && queue.is_empty())
            .map(|queue| queue.partition)
            .collect();
        for partition in ended {
            self.service.say(&format!("{}: finished", self.names[partition as usize]));
            self.decide(Change::Finish { partition })?;
            if self.listing == Listing::Again {
                self.listing = Listing::First;
            }
        }
        Ok(())
    }
}
