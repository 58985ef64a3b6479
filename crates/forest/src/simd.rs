//! Run a kernel in the version for this machine.
//!
//! Holds: the versions are one source, compiled for different instruction sets, and give the same bits (nothing is
//! contracted or reordered by the compiler); the only `unsafe` of the crate is the call into them, after detection.
//! Not here: what is computed (`evaluate`, `shap`).
#![expect(unsafe_code, reason = "a call into a function for an instruction set that was detected at load")]

/// What kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstructionSet {
    /// Whatever the target has at least.
    Baseline,
    Avx2,
    Avx512,
}

/// A piece of work that gains from wide registers. `run`, and what it calls for each piece, has to be
/// `#[inline(always)]`; what is called now and then need not, and is compiled for the least.
pub trait Kernel {
    /// What comes of it.
    type Out;

    /// Does it.
    fn run(self) -> Self::Out;
}

/// An instruction set that this machine was found to have. Only made here.
#[derive(Debug, Clone, Copy)]
pub struct Detected(InstructionSet);

impl Detected {
    /// The widest that there is a version for.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512cd")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx2 && avx512 {
                return Self(InstructionSet::Avx512);
            }
            if avx2 {
                return Self(InstructionSet::Avx2);
            }
        }
        Self(InstructionSet::Baseline)
    }

    pub(crate) fn set(self) -> InstructionSet {
        self.0
    }

    pub(crate) fn at_most(self, set: InstructionSet) -> Self {
        Self(self.0.min(set))
    }

    /// Runs a kernel in the version for the set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self.0 {
            InstructionSet::Baseline => kernel.run(),
            // SAFETY: the set was detected on this machine, or is less than what was.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => unsafe { avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => unsafe { avx512(kernel) },
            #[cfg(not(target_arch = "x86_64"))]
            InstructionSet::Avx2 | InstructionSet::Avx512 => kernel.run(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2")]
fn avx2<K: Kernel>(kernel: K) -> K::Out {
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
fn avx512<K: Kernel>(kernel: K) -> K::Out {
    kernel.run()
}
