//! Write the features of a line.
//!
//! cells -> **features** (`number`) -> line
//!
//! Nested windows often hold the same events, and so do the keys of one shopper: of the workload's 90 features
//! some 22 have a text of their own. The plan finds runs of columns (all aggregates of a window) that have a
//! twin before them (the next shorter window, the same window of the entity before); where the cells of a run
//! equal its twin's, the twin's text is copied whole.
//!
//! Holds: the text is the same whether copied or made; the buffer is zeroed once, not for each line.
//! Not here: what stands around the features (`line`).

use super::number::{DIGITS_MAX, TEXT_MAX, TEXT_ROOM, put};
use super::plan::{FeatureMeta, member};
use crate::features::cell::{Cell, Shape};

/// Texts are copied in blocks of this many bytes.
const BLOCK: usize = 16;

/// Names are copied in blocks of this many bytes: few are longer.
const NAME_BLOCK: usize = 32;

/// A run without a twin, in [`Run::twins`].
const NO_TWIN: u16 = u16::MAX;

/// Columns that are compared and copied together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// First column and number of columns.
    first: u16,
    len: u16,
    /// First columns of up to two earlier runs of the same length and shapes.
    twins: [u16; 2],
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
        Self {
            cells: if chosen.len() == features.len() { Vec::new() } else { chosen.to_vec() },
            features: features.len(),
            runs: runs(&shapes, &twins),
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

/// Cuts the columns into runs whose twins are runs.
fn runs(shapes: &[Shape], twins: &[Option<usize>]) -> Vec<Run> {
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

    let mut runs: Vec<Run> = Vec::new();
    // First columns of the latest family of runs (an entity's windows) and of the one before.
    let (mut family, mut before) = (None, None);
    for &(first, end) in &spans {
        let len = end - first;
        let same_shapes =
            |other: usize| is_run(other, len) && shapes[other..other + len] == shapes[first..end];
        let by_plan = twins[first].filter(|&twin| same_shapes(twin));
        if by_plan.is_none() {
            (before, family) = (family, Some(first));
        }
        let across = before.zip(family).map(|(before, family)| first - (family - before));
        let across = across.filter(|&other| Some(other) != by_plan && same_shapes(other));
        let twin = |twin: Option<usize>| twin.map_or(NO_TWIN, |twin| twin as u16);
        let twins = [twin(by_plan.or(across)), twin(by_plan.and(across))];
        runs.push(Run { first: first as u16, len: len as u16, twins });
    }
    runs
}

/// Where a text was written.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: u32,
    /// With the comma.
    len: u32,
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
    let mut end = 0;
    for run in &plan.runs {
        let (first, len) = (usize::from(run.first), usize::from(run.len));
        if let Some(twin) = run.equal_twin(cells) {
            let place = places[twin];
            copy(buffer, place, end);
            places[first] = place;
            end += place.len as usize;
        } else {
            let start = end;
            for (&cell, &shape) in cells[first..first + len].iter().zip(&plan.shapes[first..first + len]) {
                end = put(cell, shape, buffer, end);
            }
            places[first] = Place { start: start as u32, len: (end - start) as u32 };
        }
    }
    end
}

fn write_object(plan: &FeaturePlan, cells: &[Cell], buffer: &mut [u8], places: &mut [Place]) -> usize {
    let mut end = 0;
    let mut names = &plan.names[..];
    for run in &plan.runs {
        let (first, len) = (usize::from(run.first), usize::from(run.len));
        let twin = run.equal_twin(cells);
        for column in first..first + len {
            let len = usize::from(plan.name_lens[column]);
            lay_name(names, len, buffer, end);
            names = &names[len..];
            end += len;
            if let Some(twin) = twin {
                let place = places[twin + column - first];
                copy(buffer, place, end);
                places[column] = place;
                end += place.len as usize;
            } else {
                let start = end;
                end = put(cells[column], plan.shapes[column], buffer, end);
                places[column] = Place { start: start as u32, len: (end - start) as u32 };
            }
        }
    }
    end
}

impl Run {
    /// The first column of a twin with equal cells.
    #[inline]
    fn equal_twin(self, cells: &[Cell]) -> Option<usize> {
        self.twins.into_iter().take_while(|&twin| twin != NO_TWIN).map(usize::from).find(|&twin| {
            let (first, len) = (usize::from(self.first), usize::from(self.len));
            let pairs = cells[first..first + len].iter().zip(&cells[twin..twin + len]);
            // All of them, without a branch each.
            pairs.fold(0, |differing, (a, b)| differing | (a.0 ^ b.0)) == 0
        })
    }
}

/// Lays the first `len` bytes of `names` at `at`, in whole blocks.
#[inline]
fn lay_name(names: &[u8], len: usize, to: &mut [u8], at: usize) {
    to[at..at + NAME_BLOCK].copy_from_slice(&names[..NAME_BLOCK]);
    let mut done = NAME_BLOCK;
    while done < len {
        to[at + done..at + done + NAME_BLOCK].copy_from_slice(&names[done..done + NAME_BLOCK]);
        done += NAME_BLOCK;
    }
}

/// Copies a text to `at`, in whole blocks.
#[inline]
fn copy(buffer: &mut [u8], place: Place, at: usize) {
    let (start, len) = (place.start as usize, place.len as usize);
    // Most runs fit into two blocks, most texts into one; a loop from the start would be mispredicted.
    let block: [u8; 2 * BLOCK] = buffer[start..start + 2 * BLOCK].try_into().expect("of that length");
    buffer[at..at + 2 * BLOCK].copy_from_slice(&block);
    let mut done = 2 * BLOCK;
    while done < len {
        let block: [u8; BLOCK] =
            buffer[start + done..start + done + BLOCK].try_into().expect("of that length");
        buffer[at + done..at + done + BLOCK].copy_from_slice(&block);
        done += BLOCK;
    }
}
