//! The words of sheets, in both languages.

use super::Language;
use crate::attendance::requests::LeaveKind;

/// Words, and how dates are written.
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) sheet: &'static str,
    pub(super) period: &'static str,
    pub(super) to: &'static str,
    pub(super) unit_of_sheet: &'static str,
    pub(super) made_by: &'static str,
    pub(super) checked_by: &'static str,
    pub(super) made_at: &'static str,
    pub(super) read_to: &'static str,
    pub(super) never: &'static str,
    pub(super) open: &'static str,
    pub(super) nothing_open: &'static str,
    pub(super) who: [&'static str; 5],
    pub(super) weekdays: [&'static str; 7],
    pub(super) due: &'static str,
    pub(super) worked: &'static str,
    pub(super) late: &'static str,
    pub(super) early: &'static str,
    pub(super) times: &'static str,
    pub(super) minutes: &'static str,
    pub(super) missing: &'static str,
    pub(super) absent: &'static str,
    pub(super) leave: &'static str,
    leave_kinds: [&'static str; 7],
    pub(super) trip: &'static str,
    pub(super) corrected: &'static str,
    pub(super) overtime: &'static str,
    pub(super) sign: &'static str,
    pub(super) total: &'static str,
    pub(super) legend: &'static str,
    pub(super) month: &'static str,
    pub(super) date: &'static str,
    pub(super) time: &'static str,
}

impl Words {
    /// The name of a kind of leave.
    pub(super) fn leave_kind(&self, kind: LeaveKind) -> &'static str {
        let at = LeaveKind::ALL.iter().position(|known| *known == kind);
        at.and_then(|at| self.leave_kinds.get(at)).copied().unwrap_or_default()
    }
}

/// The words of a language.
pub(super) fn words(language: Language) -> &'static Words {
    match language {
        Language::Chinese => &CHINESE,
        Language::English => &ENGLISH,
    }
}

static CHINESE: Words = Words {
    title: "{month}考勤汇总表",
    sheet: "考勤汇总",
    period: "统计期间",
    to: "至",
    unit_of_sheet: "制表单位",
    made_by: "制表人",
    checked_by: "审核人",
    made_at: "制表时间",
    read_to: "考勤机数据截至",
    never: "尚未读取",
    open: "未定人日",
    nothing_open: "无",
    who: ["序号", "姓名", "工号", "单位", "窗口"],
    weekdays: ["一", "二", "三", "四", "五", "六", "日"],
    due: "应出勤（天）",
    worked: "实出勤（天）",
    late: "迟到",
    early: "早退",
    times: "次",
    minutes: "分",
    missing: "缺卡（次）",
    absent: "旷工（天）",
    leave: "请假（天）",
    leave_kinds: ["事假", "病假", "年休", "公假", "调休", "外出", "其他"],
    trip: "公出（天）",
    corrected: "补卡（次）",
    overtime: "延时（时）",
    sign: "本人签字",
    total: "合计",
    legend: "图例：√ 出勤　△ 迟到或早退　○ 缺卡　× 旷工　事 病 年 假 调 外 他 各类请假　公 公出　？ 考勤机未读全或时间存疑　· 当日未结束　空白 休息；两个符号并列为上午、下午",
    month: "%Y年%-m月",
    date: "%Y年%-m月%-d日",
    time: "%Y年%-m月%-d日 %H:%M",
};

static ENGLISH: Words = Words {
    title: " attendance, {month}",
    sheet: "Attendance",
    period: "Period",
    to: " to ",
    unit_of_sheet: "Unit",
    made_by: "Made by",
    checked_by: "Checked by",
    made_at: "Made at",
    read_to: "Terminals read up to",
    never: "not yet",
    open: "Days not settled",
    nothing_open: "none",
    who: ["No.", "Name", "Staff no.", "Unit", "Window"],
    weekdays: ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"],
    due: "Due (days)",
    worked: "Worked (days)",
    late: "Late",
    early: "Left early",
    times: "times",
    minutes: "min",
    missing: "Missing punches",
    absent: "Absent (days)",
    leave: "Leave (days)",
    leave_kinds: ["personal", "sick", "annual", "official", "swap", "errand", "other"],
    trip: "Trip (days)",
    corrected: "Corrected",
    overtime: "Beyond hours (h)",
    sign: "Signature",
    total: "Total",
    legend: "√ present   △ late or left early   ○ punch missing   × absent   事 personal 病 sick 年 annual 假 official 调 swap 外 errand 他 other leave   公 duty trip   ？ terminals not read so far, or a time in doubt   · not over   blank: rest; two symbols: forenoon, afternoon",
    month: "%Y-%m",
    date: "%Y-%m-%d",
    time: "%Y-%m-%d %H:%M",
};
