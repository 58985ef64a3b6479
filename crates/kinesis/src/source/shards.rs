//! The shards of a source: which are read now, and what their readers say.
//!
//! lineage -> **shards** <- readers

use super::{KinesisSource, from_start, lost_records};
use crate::gate::Gate;
use crate::queue::{Last, Queue};
use crate::reader::{Event, From, Reader, Teller};
use crate::settings::Mode;
use crate::stream::Changed;
use cartguard_history::lineage::{Claim, Lineage, Lost};
use cartguard_history::{Change, Place, Start};
use cartguard_io::Trouble;
use crossbeam_channel::RecvTimeoutError;
use std::sync::Arc;
use std::time::Duration;

impl KinesisSource {
    /// Opens what may open, and begins to read it.
    pub(super) fn settle(&mut self) -> Result<(), Trouble> {
        while self.is_unsettled {
            self.is_unsettled = false;
            let orders = self.lineage.orders(&self.partitions, |_| Claim::Mine);
            for change in orders.changes {
                self.tell(&change);
                self.decide(change)?;
            }
            if let Some(lost) = orders.lost.first() {
                self.accept(lost)?;
            }
            if orders.is_listing_short {
                self.list();
            }
        }
        self.start_readers();
        Ok(())
    }

    fn accept(&mut self, lost: &Lost) -> Result<(), Trouble> {
        if !self.settings.accept_gap {
            return Err(lost_records(&lost.to_string()));
        }
        (self.voice)(&format!("gap accepted: {lost}"));
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
            (self.voice)(&format!("{}: opened at {start}", opened.name));
        }
    }

    /// Readers for everything that is not finished.
    pub(super) fn start_readers(&mut self) {
        for partition in 0..self.partitions.list().len() as u32 {
            let is_read = self.shards.iter().any(|(queue, _)| queue.partition == partition);
            if !is_read && !self.partitions.list()[partition as usize].is_finished {
                self.start_reader(partition);
            }
        }
    }

    fn start_reader(&mut self, partition: u32) {
        let state = &self.partitions.list()[partition as usize];
        let shard = state.opened.name.clone();
        let moved = self.moved.iter().find(|(moved, _)| *moved == partition).map(|(_, from)| from.clone());
        let (from, behind) = match (moved, &state.place) {
            (Some(from), _) => (from, None),
            (None, Some(Place::Sequence { number, .. })) => (From::At(number.clone()), state.place.clone()),
            (None, Some(Place::Row { .. }) | None) => (from_start(state.opened.start), None),
        };
        let limits = self.settings.limits;
        let gate = Arc::new(Gate::new(limits.buffer_bytes, limits.buffer_records));
        let metrics = self.metrics.of(&shard);
        let range = self.lineage.shard(&shard).map(|shard| shard.range);
        let reader = Reader::new(
            self.stream.clone(),
            shard.clone(),
            partition,
            from,
            gate.clone(),
            self.to_events.clone(),
            metrics.clone(),
            limits,
            self.voice.clone(),
        );
        let consumer = match self.settings.mode {
            Mode::FanOut => Some(self.settings.consumer.clone()),
            Mode::Polling => None,
        };
        let task = self.runtime.spawn(reader.run(consumer)).abort_handle();
        self.shards.push((Queue::new(partition, shard, range, behind, gate, metrics), task));
    }

    /// Ends the reader of a partition and forgets what it received.
    pub(super) fn close(&mut self, partition: u32) {
        self.shards.retain(|(queue, task)| {
            let is_it = queue.partition == partition;
            if is_it {
                task.abort();
            }
            !is_it
        });
    }

    /// Lists the shards again, after a while.
    fn list(&mut self) {
        if self.is_listing {
            return;
        }
        self.is_listing = true;
        let (stream, events) = (self.stream.clone(), self.to_events.clone());
        let mut teller = Teller::new(self.voice.clone());
        let mut backoff = self.backoff.clone();
        let first = self.backoff.pause();
        self.runtime.spawn(async move {
            tokio::time::sleep(first).await;
            let event = loop {
                let fault = match stream.check().await {
                    Ok(()) => match stream.shards().await {
                        Ok(shards) => break Event::Listed(shards),
                        Err(fault) => fault,
                    },
                    Err(Changed::Unknown(fault)) => fault,
                    Err(changed) => break Event::Fatal(Trouble::stop(changed.to_string())),
                };
                teller.lasting(&fault);
                tokio::time::sleep(backoff.pause()).await;
            };
            let _ = events.send(event);
        });
    }

    fn hear(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            Event::Records { partition, records, bytes } => {
                // A reader that was closed may have sent before.
                if let Some(queue) = self.queue(partition) {
                    queue.push(records, bytes);
                }
            }
            Event::End { partition } => {
                if let Some(queue) = self.queue(partition) {
                    queue.last = Some(Last::End);
                }
            }
            Event::Gone { partition } => {
                if let Some(queue) = self.queue(partition) {
                    queue.last = Some(Last::Gone);
                }
                self.list();
            }
            Event::Listed(shards) => {
                self.is_listing = false;
                self.lineage.list(shards);
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
        let again: Vec<u32> = self
            .shards
            .iter()
            .filter(|(queue, _)| is_again(queue))
            .map(|(queue, _)| queue.partition)
            .collect();
        for partition in again {
            self.close(partition);
        }
    }

    pub(super) fn queue(&mut self, partition: u32) -> Option<&mut Queue> {
        self.shards.iter_mut().map(|(queue, _)| queue).find(|queue| queue.partition == partition)
    }

    /// Takes in what the readers sent, without waiting.
    pub(super) fn hear_all(&mut self) -> Result<(), Trouble> {
        while let Ok(event) = self.events.try_recv() {
            self.hear(event)?;
        }
        Ok(())
    }

    /// Waits for what the readers send; whether something came.
    pub(super) fn hear_within(&mut self, patience: Duration) -> Result<bool, Trouble> {
        match self.events.recv_timeout(patience) {
            Ok(event) => {
                self.hear(event)?;
                self.hear_all()?;
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => unreachable!("the source itself holds a sender"),
        }
    }

    /// Finishes shards whose last record was taken.
    pub(super) fn finish(&mut self) -> Result<(), Trouble> {
        let ended: Vec<u32> = self
            .shards
            .iter()
            .filter(|(queue, _)| queue.last == Some(Last::End) && queue.is_empty())
            .map(|(queue, _)| queue.partition)
            .collect();
        for partition in ended {
            (self.voice)(&format!("{}: finished", self.names[partition as usize]));
            self.decide(Change::Finish { partition })?;
            self.backoff.reset();
        }
        Ok(())
    }
}
