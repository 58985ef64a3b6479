//! Write the features of a line.
//!
//! cells -> **features** (`number`) -> line
//!
//! Nested windows often hold the same events, and so do the keys of one shopper: of the workload's 90 features
//! some 22 have a text of their own. The plan finds runs of columns (all aggregates of a window) that have a
//! twin before them (the next shorter window, the same window of the entity before); where the cells of a run
//! equal its twin's, the twin's text is copied whole. So is the text of all windows of an entity where they equal
//! those of the entity before, in arrays; in objects names stand between.
//!
//! Holds: the text is the same whether copied or made; the buffer is zeroed once, not for each line.
//! Not here: what stands around the features (`line`).

#![expect(
    clippy::inline_always,
    reason = "called for each cell or run; a call costs as much as the work: measured"
)]

use super::number::{DIGITS_MAX, TEXT_MAX, TEXT_ROOM, put};
use super::plan::{FeatureMeta, member};
use crate::features::cell::{Cell, Shape};

/// Texts are copied in blocks of this many bytes: the text of a cell fits into one.
const BLOCK: usize = 32;
const _: () = assert!(BLOCK >= TEXT_MAX);

/// Runs of this many columns are compared in registers.
const USUAL_RUN: usize = 4;

/// Names are copied in blocks of this many bytes: few are longer.
const NAME_BLOCK: usize = 32;

/// A run without a twin.
const NO_TWIN: u32 = u32::MAX;

/// Columns that are compared and copied together: a window's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// First column and number of columns.
    first: u32,
    len: u32,
    /// First columns of earlier runs of the same length and shapes, or [`NO_TWIN`]: that of the next shorter window,
    /// and that of the same window in the family before.
    shorter: u32,
    before: u32,
}

/// Runs that may be copied all at once: an entity's windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Family {
    /// First run and number of runs.
    run: usize,
    runs: usize,
    /// First column and number of columns.
    first: usize,
    len: usize,
    /// First column of the family before, where that has runs of the same lengths and shapes.
    twin: Option<usize>,
}

/// Which features are written, and how.
#[derive(Clone, Debug)]
pub(super) struct FeaturePlan {
    /// The cell of each column; empty where the columns are all cells in order.
    cells: Vec<u16>,
    /// Number of cells.
    features: usize,
    shapes: Vec<Shape>,
    runs: Vec<Run>,
    families: Vec<Family>,
    /// `"name":` of each column, one after the other, and a block of zeros; empty for arrays.
    names: Vec<u8>,
    name_lens: Vec<u16>,
}

impl FeaturePlan {
    /// Of the features that are `chosen`, by index, ascending.
    pub(super) fn new(features: &[FeatureMeta<'_>], chosen: &[u16], as_array: bool) -> Self {
        assert!(chosen.is_sorted_by(|a, b| a < b), "the features of the model ascend");
        let shapes: Vec<Shape> = chosen.iter().map(|&index| features[usize::from(index)].shape).collect();
        for (&index, shape) in chosen.iter().zip(&shapes) {
            if let Shape::Decimal { digits } = shape {
                let name = features[usize::from(index)].name;
                assert!(*digits <= DIGITS_MAX, "`{name}` has more than {DIGITS_MAX} digits");
            }
        }
        let twins: Vec<Option<usize>> =
            chosen.iter().map(|&index| nearest_chosen(features, chosen, index)).collect();
        let (mut names, mut name_lens) = (Vec::new(), Vec::new());
        if !as_array {
            for &index in chosen {
                let name = member(features[usize::from(index)].name, b":");
                name_lens.push(u16::try_from(name.len()).expect("names are checked to be short"));
                names.extend_from_slice(&name);
            }
            names.extend_from_slice(&[0; NAME_BLOCK]);
        }
        let (runs, families) = runs(&shapes, &twins);
        Self {
            cells: if chosen.len() == features.len() { Vec::new() } else { chosen.to_vec() },
            features: features.len(),
            runs,
            families,
            shapes,
            names,
            name_lens,
        }
    }

    /// Bytes that the features of a line take at most.
    pub(super) fn len_max(&self) -> usize {
        self.names.len() + self.shapes.len() * TEXT_MAX
    }
}

/// Follows `same_as` to the nearest feature that is written too: its column.
fn nearest_chosen(features: &[FeatureMeta<'_>], chosen: &[u16], index: u16) -> Option<usize> {
    let mut from = index;
    while let Some(same) = features[usize::from(from)].same_as {
        assert!(same < from, "`same_as` names an earlier feature");
        let (a, b) = (&features[usize::from(same)], &features[usize::from(index)]);
        assert!(a.shape == b.shape, "`{}` and `{}` differ in shape", a.name, b.name);
        if let Ok(at) = chosen.binary_search(&same) {
            return Some(at);
        }
        from = same;
    }
    None
}

/// Cuts the columns into runs whose twins are runs. One without a shorter window begins a family.
fn runs(shapes: &[Shape], twins: &[Option<usize>]) -> (Vec<Run>, Vec<Family>) {
    // Columns whose twins lie equally far back are a run as long as that distance: a window's aggregates.
    let distance = |at: usize| twins.get(at).copied().flatten().map(|twin| at - twin);
    let mut cuts = vec![0];
    let mut at = 0;
    while at < shapes.len() {
        let Some(far) = distance(at) else {
            at += 1;
            continue;
        };
        let len = (at..at + far).take_while(|&column| distance(column) == Some(far)).count();
        cuts.extend([at - far, at - far + len, at, at + len]);
        at += len;
    }
    cuts.push(shapes.len());
    cuts.sort_unstable();
    cuts.dedup();
    let spans: Vec<(usize, usize)> = cuts.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let is_run = |first: usize, len: usize| spans.binary_search(&(first, first + len)).is_ok();

    let (mut runs, mut families): (Vec<Run>, Vec<Family>) = (Vec::new(), Vec::new());
    for &(first, end) in &spans {
        let len = end - first;
        let same_shapes =
            |other: usize| is_run(other, len) && shapes[other..other + len] == shapes[first..end];
        let by_plan = twins[first].filter(|&twin| same_shapes(twin));
        if by_plan.is_none() {
            families.push(Family { run: runs.len(), runs: 0, first, len: 0, twin: None });
        }
        if let Some(family) = families.last_mut() {
            (family.runs, family.len) = (family.runs + 1, family.len + len);
        }
        let across = match families[..] {
            // Where this family is the longer one, its last runs have no such twin.
            [.., before, family] => {
                Some(first - (family.first - before.first)).filter(|&other| other < family.first)
            }
            _ => None,
        };
        let across = across.filter(|&other| Some(other) != by_plan && same_shapes(other));
        let twin = |twin: Option<usize>| twin.map_or(NO_TWIN, |twin| twin as u32);
        let (shorter, before) = (twin(by_plan), twin(across));
        runs.push(Run { first: first as u32, len: len as u32, shorter, before });
    }
    find_twins(&mut families, &runs, shapes);
    (runs, families)
}

/// Finds the families whose windows are those of the family before. One with a run that is the shorter window of
/// another family's has no twin: copied whole, it leaves no places of its runs.
fn find_twins(families: &mut [Family], runs: &[Run], shapes: &[Shape]) {
    for at in 1..families.len() {
        let (a, b) = (families[at - 1], families[at]);
        let lens = |family: Family| runs[family.run..family.run + family.runs].iter().map(|run| run.len);
        let shapes = |family: Family| &shapes[family.first..family.first + family.len];
        let in_b = |column: u32| (b.first..b.first + b.len).contains(&(column as usize));
        let is_read = runs.iter().any(|run| in_b(run.shorter) && !in_b(run.first));
        if lens(a).eq(lens(b)) && shapes(a) == shapes(b) && !is_read {
            families[at].twin = Some(a.first);
        }
    }
}

/// Where a text was written.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: u32,
    /// With the comma.
    len: u32,
}

impl Place {
    fn of(start: usize, end: usize) -> Self {
        Self { start: start as u32, len: (end - start) as u32 }
    }
}

/// Writes the features of one line at a time into a buffer of its own.
#[derive(Debug)]
pub(super) struct FeatureWriter {
    buffer: Vec<u8>,
    /// Of arrays: the text of the run that begins at a column. Of objects: the text of each column.
    places: Vec<Place>,
    /// The cells of the columns, where they are not all cells.
    chosen: Vec<Cell>,
}

impl FeatureWriter {
    pub(super) fn new(plan: &FeaturePlan) -> Self {
        Self {
            // A name's last block, too, ends within.
            buffer: vec![0; plan.len_max() + TEXT_ROOM + NAME_BLOCK],
            places: vec![Place::default(); plan.shapes.len()],
            chosen: vec![Cell::default(); plan.cells.len()],
        }
    }

    /// The features, without brackets or braces.
    pub(super) fn write(&mut self, plan: &FeaturePlan, cells: &[Cell]) -> &[u8] {
        assert_eq!(cells.len(), plan.features, "one cell a feature");
        if plan.shapes.is_empty() {
            return &[];
        }
        let Self { buffer, places, chosen } = self;
        let cells = if plan.cells.is_empty() {
            cells
        } else {
            for (to, &from) in chosen.iter_mut().zip(&plan.cells) {
                *to = cells[usize::from(from)];
            }
            chosen
        };
        let end = if plan.names.is_empty() {
            write_array(plan, cells, buffer, places)
        } else {
            write_object(plan, cells, buffer, places)
        };
        // Without the last comma.
        &buffer[..end - 1]
    }
}

fn write_array(plan: &FeaturePlan, cells: &[Cell], buffer: &mut [u8], places: &mut [Place]) -> usize {
    let (mut start, mut end) = (0, 0);
    // How far before the family before lies the one that its text is a copy of.
    let mut back = 0;
    for family in &plan.families {
        let start_before = start;
        start = end;
        if let Some(twin) = family.equal_twin(cells) {
            buffer.copy_within(start_before..start, end);
            end += start - start_before;
            back += family.first - twin;
        } else {
            let runs = &plan.runs[family.run..family.run + family.runs];
            end = write_runs(plan, runs, back, cells, buffer, places, end);
            back = 0;
        }
    }
    end
}

/// Run by run, each whole or cell by cell; the twins in the family before are those `back` columns before it.
#[inline(never)]
fn write_runs(
    plan: &FeaturePlan,
    runs: &[Run],
    back: usize,
    cells: &[Cell],
    buffer: &mut [u8],
    places: &mut [Place],
    mut end: usize,
) -> usize {
    for run in runs {
        let (first, len) = (run.first as usize, run.len as usize);
        if let Some(twin) = run.equal_twin(cells, back) {
            let place = places[twin];
            copy(buffer, place, end);
            places[first] = place;
            end += place.len as usize;
        } else {
            let start = end;
            end = put_each(&cells[first..first + len], &plan.shapes[first..first + len], buffer, end);
            places[first] = Place::of(start, end);
        }
    }
    end
}

/// Apart from [`write_runs`], for each needs all registers.
#[inline(never)]
fn put_each(cells: &[Cell], shapes: &[Shape], buffer: &mut [u8], mut end: usize) -> usize {
    for (&cell, &shape) in cells.iter().zip(shapes) {
        end = put(cell, shape, buffer, end);
    }
    end
}

#[inline(never)]
fn write_object(plan: &FeaturePlan, cells: &[Cell], buffer: &mut [u8], places: &mut [Place]) -> usize {
    let mut end = 0;
    let mut names = &plan.names[..];
    for run in &plan.runs {
        let (first, len) = (run.first as usize, run.len as usize);
        let lens = &plan.name_lens[first..first + len];
        if let Some(twin) = run.equal_twin(cells, 0) {
            let (before, places) = places.split_at_mut(first);
            for ((&len, &twin), place) in lens.iter().zip(&before[twin..]).zip(places) {
                end = lay_name(&mut names, len, buffer, end);
                let start = twin.start as usize;
                buffer.copy_within(start..start + BLOCK, end);
                *place = twin;
                end += twin.len as usize;
            }
        } else {
            for (column, &len) in (first..).zip(lens) {
                let start = lay_name(&mut names, len, buffer, end);
                end = put(cells[column], plan.shapes[column], buffer, start);
                places[column] = Place::of(start, end);
            }
        }
    }
    end
}

impl Family {
    /// The first column of the family before, where its cells are equal. The longest window is compared first: it
    /// holds all events of the others.
    #[inline(always)]
    fn equal_twin(&self, cells: &[Cell]) -> Option<usize> {
        let twin = self.twin?;
        let (own, other) = (&cells[self.first..self.first + self.len], &cells[twin..twin + self.len]);
        let (own_longest, other_longest) = (own.last_chunk::<USUAL_RUN>(), other.last_chunk::<USUAL_RUN>());
        let may_be_equal = own_longest.zip(other_longest).is_none_or(|(own, other)| are_equal(own, other));
        (may_be_equal && are_many_equal(own, other)).then_some(twin)
    }
}

impl Run {
    /// The first column of a twin with equal cells.
    #[inline(always)]
    fn equal_twin(&self, cells: &[Cell], back: usize) -> Option<usize> {
        let (first, len) = (self.first as usize, self.len as usize);
        let own = &cells[first..first + len];
        let is_twin = |twin: usize| are_equal(own, &cells[twin..twin + len]);
        let shorter = self.shorter as usize;
        if self.shorter != NO_TWIN && is_twin(shorter) {
            return Some(shorter);
        }
        if self.before == NO_TWIN {
            return None;
        }
        let before = self.before as usize - back;
        is_twin(before).then_some(before)
    }
}

/// Whether cells of the same number are equal: all of them, without a branch each.
#[inline(always)]
fn are_equal(a: &[Cell], b: &[Cell]) -> bool {
    match (<&[Cell; USUAL_RUN]>::try_from(a), <&[Cell; USUAL_RUN]>::try_from(b)) {
        (Ok(a), Ok(b)) => (0..USUAL_RUN).fold(0, |differing, at| differing | (a[at].0 ^ b[at].0)) == 0,
        // Few, and most often one.
        _ => a.iter().zip(b).all(|(a, b)| a == b),
    }
}

#[inline(never)]
fn are_many_equal(a: &[Cell], b: &[Cell]) -> bool {
    a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a.0 ^ b.0)) == 0
}

/// Lays the next name, of `len` bytes, at `at`, in whole blocks; its end.
#[inline(always)]
fn lay_name(names: &mut &[u8], len: u16, to: &mut [u8], at: usize) -> usize {
    let len = usize::from(len);
    lay_block(names, to, at);
    let mut done = NAME_BLOCK;
    while done < len {
        lay_block(&names[done..], to, at + done);
        done += NAME_BLOCK;
    }
    *names = &names[len..];
    at + len
}

#[inline(always)]
fn lay_block(names: &[u8], to: &mut [u8], at: usize) {
    let block: &[u8; NAME_BLOCK] = names.first_chunk().expect("a block of zeros is behind the last name");
    to[at..at + NAME_BLOCK].copy_from_slice(block);
}

/// Copies a text to `at`, in whole blocks.
#[inline(always)]
fn copy(buffer: &mut [u8], place: Place, at: usize) {
    let (start, len) = (place.start as usize, place.len as usize);
    buffer.copy_within(start..start + BLOCK, at);
    // Most texts of a run fit into one block.
    let mut done = BLOCK;
    while done < len {
        buffer.copy_within(start + done..start + done + BLOCK, at + done);
        done += BLOCK;
    }
}
