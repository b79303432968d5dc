//! In which orders a scenario is played: many, drawn by seeded dice, so the same in every run. It knows who may go next;
//! it refuses to know what they do.

use shuttle::scheduler::{
    PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId,
    UncontrolledNondeterminismCheckScheduler,
};
use shuttle::{Config, Runner};

/// The second task of every run moves the clock; the first waits for all others.
const MOVER: usize = 1;

/// When time goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// When nobody can do anything more before it does: everybody is infinitely fast.
    Still,
    /// Whenever the dice say so: anybody may be put off at any point for any time.
    Running,
}

/// Plays it in very many orders, at each pace, drawn in two ways: one decides anew at each step, the other lets one run as
/// long as it can and puts it off at few points (Burckhardt et al., "A randomized scheduler with probabilistic
/// guarantees of finding bugs").
pub(crate) fn many(scenario: impl Fn(Pace) + Copy + Send + Sync + 'static) {
    /// So many in each of the four ways.
    const COUNT: usize = 100;
    /// At so many points somebody is put off.
    const DEPTH: usize = 4;
    for (pace, seed) in [(Pace::Still, 1), (Pace::Running, 2)] {
        // The same order twice must be the same twice, or nothing that is found here could be looked into.
        let once = UncontrolledNondeterminismCheckScheduler::new(RandomScheduler::new_from_seed(seed, 10));
        play(once, pace, scenario);
        play(RandomScheduler::new_from_seed(seed, COUNT), pace, scenario);
        play(PctScheduler::new_from_seed(seed, DEPTH, COUNT), pace, scenario);
    }
}

fn play(scheduler: impl Scheduler + 'static, pace: Pace, scenario: impl Fn(Pace) + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    Runner::new(Patient { scheduler, pace }, config).run(move || scenario(pace));
}

/// Lets whoever moves the clock go only when nobody else can, if time stands still until then.
struct Patient<S> {
    scheduler: S,
    pace: Pace,
}

impl<S: Scheduler> Scheduler for Patient<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.scheduler.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let others: Vec<&Task> =
            runnable.iter().copied().filter(|task| task.id() != TaskId::from(MOVER)).collect();
        let first = if self.pace == Pace::Running || others.is_empty() { runnable } else { &others };
        self.scheduler.next_task(first, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.scheduler.next_u64()
    }
}
