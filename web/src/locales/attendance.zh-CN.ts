// 考勤页面的文字。

export default {
  title: "考勤",
  tab: { day: "今日", month: "月表", requests: "申请审批", duty: "在岗", staff: "人员", shifts: "班次排班", calendar: "工作日历" },
  hall: "大厅", all_halls: "全部大厅", date: "日期", month: "月份", today: "今天", search: "姓名或工号", refresh: "刷新", print: "打印", updated: "更新于 {time}", every: "全部",
  previous: "前一天", next: "后一天", halltime: "时间均为大厅当地时间（UTC+8）",
  synced: "考勤机数据截至 {time}", synced_never: "考勤机尚未读取，任何人都不会被判为旷工", synced_old: "考勤机 {devices} 的数据只到 {time}，之后的缺卡不作判定", no_terminal: "本大厅没有考勤机",
  clock_off: "{device} 的时钟偏差 {n} 秒，打卡时间已按偏差换算，原始时间保留", strangers: "有 {n} 个工号打卡但不在人员名单中：{numbers}",
  empty: "没有人员。请先在“人员”中登记，并在“班次排班”中排班。", empty_state: "没有处于此状态的人员",
  state: {
    unassigned: "未排班", rest: "休息", upcoming: "未到上班", working: "在班", normal: "正常", trip: "公出", leave: "请假", early: "早退", late: "迟到", missing: "缺卡",
    unsynced: "待同步", not_in: "未到岗", unclear: "时间存疑", half_absent: "旷工半天", absent: "旷工",
  },
  hint: {
    unassigned: "没有班次或当日没有作息时间", rest: "当日休息", upcoming: "还没到上班时间", working: "按打卡在班", normal: "出勤正常", trip: "已批准公出", leave: "已批准请假",
    early: "提前离岗打卡", late: "晚于规定时间打卡", missing: "应打卡而没有记录", unsynced: "考勤机尚未读到这一时间，不作判定", not_in: "已过上班时间，没有打卡",
    unclear: "考勤机时钟被改动，打卡时间不能确定，请人工核对", half_absent: "按规定计旷工半天", absent: "班次结束且全部考勤机已读完，没有打卡",
  },
  mark: {
    in: "上班", out: "下班", on_time: "正常", late: "迟到 {n} 分", early: "早退 {n} 分", corrected: "已补卡", excused: "免打卡", upcoming: "未到时间", open: "未打卡", unsynced: "待同步",
    missing: "缺卡", unclear: "存疑", due: "应 {time}",
  },
  kind: { workday: "工作日", make_up: "调休上班", weekend: "周末", holiday: "节假日" },
  weekday: ["一", "二", "三", "四", "五", "六", "日"],
  week: "周{d}",
  column: { name: "姓名", number: "工号", unit: "单位", window: "窗口", shift: "班次", marks: "打卡", state: "结果", hall: "大厅", act: "操作" },
  summary: { due: "应到", there: "已到", calling: "需处理", settled: "已定 {n} / {all}" },
  figure: {
    due: "应出勤", worked: "实出勤", late: "迟到", late_min: "迟到分", early: "早退", early_min: "早退分", missing: "缺卡", absent: "旷工", leave: "请假", trip: "公出", corrected: "补卡",
    overtime: "延时", total: "合计", days: "{n} 天", times: "{n} 次", minutes: "{n} 分",
  },
  leave: { personal: "事假", sick: "病假", annual: "年休", official: "公假", swap: "调休", errand: "临时外出", other: "其他" },
  half: { forenoon: "上午", afternoon: "下午" },
  sheet: {
    title: "{month} 考勤汇总", xlsx: "导出 XLSX", csv: "导出 CSV", choose: "请选择大厅",
    legend: "√ 出勤　△ 迟到或早退　○ 缺卡　× 旷工　事 病 年 假 调 外 他 请假　公 公出　？ 待同步或存疑　· 未结束", period: "统计期间 {from} 至 {to}",
  },
  person: {
    title: "{name} 的考勤", from: "从", to: "到", punches: "原始打卡记录", punches_hint: "原始记录不可更改；补卡只作为申请另行记录", stamped: "考勤机时间", at: "大厅时间", offset: "时钟偏差",
    device: "考勤机", verify: "验证方式", side: "机上状态", counts: "计入", certainty: { measured: "已测", assumed: "按未变推定", uncertain: "不能确定" }, or: "或 {time}",
    activity: "窗口活动", sign_ins: "键盘签到", served: "叫号办理", signed: "{from} – {until}", still: "至今", none: "没有记录", ask: "补卡", ask_leave: "请假 / 公出", back: "返回", live: "实时", log: "读记录",
    seconds: "{n} 秒", verified: { "0": "密码", "1": "指纹", "2": "卡", "15": "人脸", "25": "掌纹", other: "其他" }, sides: { "0": "上班", "1": "下班", "2": "外出", "3": "返回", "4": "加班上", "5": "加班下", other: "未定义" },
    more: "另有 {n} 条",
  },
  seat: {
    title: "座位情况（摄像头）", occupied: "有人", empty: "无人", unknown: "未知", hint: "只看座位上是否有人，不识别是谁；看不到时为“未知”，不算无人。",
    why: { starting: "刚启动", no_picture: "无画面", dark: "画面过暗", not_learnt: "尚未学习", other_light: "光线变化", left_behind: "有遗留物", unsure: "无法判断", nothing_said: "没有记录", hall_offline: "大厅离线", other: "画面异常" },
  },
  request: {
    title: "申请", file: "提交申请", kind: { punch: "补卡", leave: "请假", trip: "公出" }, reason: "事由", reason_hint: "例如：考勤机断电、外出开会", mark: "哪一次打卡", marks: ["第一次（上班）", "第二次", "第三次", "第四次"],
    leave: "假别", from: "开始", to: "结束", send: "提交", cancel: "取消", sent: "已提交，等待他人审批", state: { asked: "待审批", approved: "已批准", refused: "未批准", withdrawn: "已撤回" },
    asked: "{who} 于 {time} 提交", decided: "{who} 于 {time} {state}", approve: "批准", refuse: "不批准", withdraw: "撤回", note: "审批意见", note_need: "不批准时请说明理由", own: "本人提交，须由他人审批", evidence: "查看依据",
    day: "当日打卡", who: "人员", employee: "工号", open: "待审批 {n}", empty: "没有申请", span: "{from} {from_half} 至 {to} {to_half}", one: "{date} {mark}", hide: "收起",
  },
  duty: {
    title: "各窗口在岗", roster: "排班", keypad: "键盘签到", punch: "打卡", none: "无人", differs: "三处来源不一致", hint: "排班、键盘签到、打卡各自独立显示，互不推定", yes: "是", since: "{time} 起", out: "{time} 下班", window: "窗口",
  },
  staff: { title: "人员", add: "登记人员", change: "修改", remove: "移除", name: "姓名", number: "工号", unit: "进驻单位", window: "常驻窗口", none: "不固定", save: "保存", saved: "已保存", remove_ask: "移除 {name}？打卡记录会保留。", count: "{n} 人" },
  shift: {
    title: "班次", add: "新建班次", change: "修改", remove: "停用", name: "班次名称", scope: "适用范围", version: "第 {n} 版 · {who} {time}", period: "作息时间", period_from: "自此日起", period_name: "名称", add_period: "增加作息时间（换季）", remove_period: "删除",
    two: "两次打卡", four: "四次打卡", due: "应打卡", from: "起", until: "止", in: "上班", out: "下班", rules: "判定", grace_late: "迟到宽限（秒）", grace_early: "早退宽限（秒）", half_absent: "满此分钟计旷工半天", absent: "满此分钟计旷工",
    missing: "缺卡计", missing_missing: "缺卡", missing_half: "旷工半天", overtime: "延时起算（分钟）", never: "不计", save: "保存为新版", friday: "周五不同", none: "还没有班次。先新建一个班次，再为大厅排班。", hint: "时间写 HH:MM，次日写到 47:59（如夜班下班 30:00）",
    where: { hall: "仅本大厅", area: "本地区各大厅" },
  },
  roster: {
    title: "排班", everybody: "全体（未单独排班者）", who: "人员", from: "自此日起", pattern: "方式", workdays: "工作日上 {shift}", cycle: "轮班：{days}", exempt: "不考勤", rest: "休", add: "设置排班", kind: { workdays: "按工作日历", cycle: "轮班", exempt: "不考勤" }, shift: "班次",
    begins: "轮班首日", days: "轮班各天", add_day: "加一天", holidays_off: "法定节假日休息", save: "保存", remove: "撤销", none: "还没有排班",
  },
  calendar: {
    title: "工作日历", national: "全国", source: "依据", off: "放假", work: "调休上班", shipped: "程序自带", imported: "{who} 于 {time} 导入", import: "导入签名日历", import_hint: "选择上级下发的 .json 日历文件（含签名）。未信任的签名会被拒绝。", year: "年份",
    unknown: "没有 {year} 年的全国放假安排。未知年份不作推算，请导入。", unknown_short: "没有这一年的放假安排，请先导入签名日历", key: "签名 {key}", done: "已导入", bad_file: "文件不是签名日历",
  },
};
