//! What ratings come to: grades as given, apart from invitations nobody answered, which some rules count as 非常满意 and
//! these figures never do unless their name says so. Pure: sums in, figures out.

use serde::Serialize;
use utoipa::ToSchema;

use crate::statistics::Load;

/// The points of each grade, 1 to 5 (Guangxi's rule: 10, 8, 6, 3, 0).
const POINTS: [i64; 5] = [0, 3, 6, 8, 10];

/// Figures of ratings. Shares are 0 to 1; what has nothing to be a share of is none. Definitions:
/// `docs/reference/statistics-supervision.md`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct RatingFigures {
    /// Ratings given, by grade from 1 (非常不满意) to 5 (非常满意).
    #[schema(value_type = Vec<i64>, example = json!([1, 2, 9, 104, 812]))]
    pub grades: [i64; 5],
    /// Ratings given, of every grade.
    #[schema(example = 928)]
    pub given: i64,
    /// Invitations nobody answered (默认).
    #[schema(example = 311)]
    pub defaults: i64,
    /// Presses that nobody had asked for; counted nowhere else.
    #[schema(example = 17)]
    pub unsolicited: i64,
    /// Cases whose service ended.
    #[schema(example = 1302)]
    pub served: i64,
    /// 主动评价率: given ÷ served.
    #[schema(example = 0.7127)]
    pub active_rate: Option<f64>,
    /// 主动满意率: grades 3 to 5 ÷ given.
    #[schema(example = 0.9968)]
    pub satisfied: Option<f64>,
    /// 满意率（含默认）: grades 3 to 5 and defaults ÷ given and defaults.
    #[schema(example = 0.9976)]
    pub satisfied_with_defaults: Option<f64>,
    /// 差评率: grades 1 and 2 ÷ given.
    #[schema(example = 0.0032)]
    pub bad_rate: Option<f64>,
    /// 平均分, 0 to 10: the grades' points (10, 8, 6, 3, 0) ÷ given.
    #[schema(example = 9.73)]
    pub score: Option<f64>,
}

impl RatingFigures {
    /// The figures of these sums.
    pub(super) fn of(load: &Load) -> Self {
        let grades = [load.grade_1, load.grade_2, load.grade_3, load.grade_4, load.grade_5];
        let given = grades.iter().sum();
        let share = |part: i64, whole: i64| (whole > 0).then(|| part as f64 / whole as f64);
        let satisfied = grades[2] + grades[3] + grades[4];
        let points = grades.iter().zip(POINTS).map(|(grade, points)| grade * points).sum();
        Self {
            grades,
            given,
            defaults: load.defaults,
            unsolicited: load.unsolicited,
            served: load.served,
            // A case served before midnight may be rated after it.
            active_rate: share(given, load.served).map(|rate| rate.min(1.0)),
            satisfied: share(satisfied, given),
            satisfied_with_defaults: share(satisfied + load.defaults, given + load.defaults),
            bad_rate: share(grades[0] + grades[1], given),
            score: share(points, given),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_kept_apart() {
        let load = Load {
            grade_1: 1,
            grade_3: 1,
            grade_5: 2,
            defaults: 4,
            unsolicited: 3,
            served: 10,
            ..Load::default()
        };
        let figures = RatingFigures::of(&load);
        assert_eq!((figures.given, figures.defaults, figures.unsolicited), (4, 4, 3));
        assert_eq!(figures.active_rate, Some(0.4));
        assert_eq!(figures.satisfied, Some(0.75), "three of four");
        assert_eq!(figures.satisfied_with_defaults, Some(0.875), "seven of eight");
        assert_eq!(figures.bad_rate, Some(0.25));
        assert_eq!(figures.score, Some(6.5), "0 + 6 + 10 + 10 of four");
        let nothing = RatingFigures::of(&Load::default());
        assert_eq!((nothing.active_rate, nothing.satisfied, nothing.score), (None, None, None));
    }
}
