//! What a seed decides before the first step: how much there is of everything, how often each step comes, what fails.

use runtime::sim::{Dice, Faults};

/// A kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Write,
    /// Several requests at once.
    Writes,
    /// A request that does not wait for the log.
    Unsynced,
    Read,
    Persist,
    Compact,
    Delete,
    /// Reads while something else is under way.
    Meanwhile,
    /// Writes, a delete, persisting and compaction at once.
    Together,
    Retain,
    Wait,
    DropTable,
    DropDatabase,
    /// A table or a database that is deleted, and brought back.
    ThereAndBack,
    Faults,
    Crash,
    Restart,
    TakeOver,
    /// What the process does that has been taken over.
    Haunt,
}

const KINDS: [Kind; 19] = [
    Kind::Write,
    Kind::Writes,
    Kind::Unsynced,
    Kind::Read,
    Kind::Persist,
    Kind::Compact,
    Kind::Delete,
    Kind::Meanwhile,
    Kind::Together,
    Kind::Retain,
    Kind::Wait,
    Kind::DropTable,
    Kind::DropDatabase,
    Kind::ThereAndBack,
    Kind::Faults,
    Kind::Crash,
    Kind::Restart,
    Kind::TakeOver,
    Kind::Haunt,
];

impl Kind {
    /// The kind of this name, as a trace shows it.
    pub fn named(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| format!("{kind:?}") == name)
    }

    /// The most that a seed may weigh it with.
    fn weight_max(self) -> u64 {
        match self {
            Self::Write => 40,
            Self::Persist => 16,
            Self::Compact | Self::Delete | Self::Crash => 12,
            Self::Writes | Self::Unsynced | Self::Meanwhile | Self::Together | Self::Faults => 8,
            Self::Read | Self::Restart | Self::TakeOver => 5,
            Self::Wait | Self::Retain | Self::ThereAndBack => 4,
            Self::DropTable | Self::DropDatabase => 2,
            // Only ever one process haunts.
            Self::Haunt => 30,
        }
    }

    /// Whether a seed may leave it out.
    fn may_be_absent(self) -> bool {
        !matches!(self, Self::Write | Self::Persist | Self::Haunt)
    }
}

/// Everything that a seed decides beforehand.
#[derive(Clone, Debug)]
pub struct Profile {
    pub steps: u64,
    pub databases: u64,
    pub tables: u64,
    pub tags: u64,
    /// Values of each tag.
    pub tag_values: u64,
    pub fields: u64,
    pub points_max: u64,
    /// Whether the log is a folder; otherwise it is in the object store.
    pub log_in_folder: bool,
    /// Whether persisting and compaction happen by themselves, too: such a seed repeats less exactly.
    pub background: bool,
    /// Bytes at which the buffer is persisted by itself, if anything is.
    pub buffer_bytes_max: usize,
    pub weights: Vec<(u64, Kind)>,
    pub faults: Faults,
}

impl Profile {
    pub fn draw(seed: u64, dice: &mut Dice) -> Self {
        let steps = 30 + dice.below(51);
        let weights = KINDS
            .iter()
            .map(|kind| {
                let absent = kind.may_be_absent() && dice.one_in(3);
                let weight = 1 + dice.below(kind.weight_max());
                (if absent { 0 } else { weight }, *kind)
            })
            .collect();
        let (databases, tables) = (1 + dice.below(2), 1 + dice.below(3));
        let (tags, tag_values, fields) = (dice.below(4), 1 + dice.below(4), 1 + dice.below(7));
        let points_max = *dice.pick(&[1, 4, 12, 40]);
        let log_in_folder = dice.one_in(6);
        let background = dice.one_in(4);
        // Where only a step persists, a full buffer would have nobody to make room.
        let small = if background { 20_000 } else { 64 << 20 };
        Self {
            steps,
            databases,
            tables,
            tags,
            tag_values,
            fields,
            points_max,
            log_in_folder,
            background,
            buffer_bytes_max: *dice.pick(&[small, 64 << 20]),
            weights,
            faults: faults(seed, dice),
        }
    }
}

fn faults(seed: u64, dice: &mut Dice) -> Faults {
    let worst = *dice.pick(&[0, 20, 80, 200]);
    let mut chance = || match dice.below(3) {
        0 => 0,
        _ => dice.below(worst + 1),
    };
    Faults {
        seed,
        puts_refused: chance(),
        puts_unanswered: chance(),
        gets_refused: chance(),
        gets_cut: chance(),
        lists_refused: chance(),
        lists_cut: chance(),
        deletes_refused: chance(),
        deletes_unanswered: chance(),
        deleted_listed: chance(),
        slow: chance(),
    }
}
