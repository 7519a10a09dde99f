// 监管页面：总览、评价、对比、报表。

export default {
  overview: "总览",
  state: { absent: "未接入", closed: "已关窗", good: "正常", attention: "需关注", bad: "异常", offline: "离线" },
  figure: {
    waiting: "当前等候", longest: "最长已等 {span}", nobody: "无人等候", windows: "开窗", paused: "暂停 {n} 个", halls: "大厅在线", halls_off: "{n} 个离线或未接入", all_on: "全部在线",
    cameras: "摄像机在线", cameras_off: "{n} 路无画面", coverage: "办件关联率", coverage_of: "{tagged} / {all} 个窗口事件", wrong: "当前异常", none_wrong: "没有异常", of: "{n} / {all}",
  },
  map: "区域与大厅", legend: "图例", halls_n: "{n} 个大厅", windows_n: "{open}/{all} 窗", waiting_n: "等候 {n}", wrong_n: "{n} 项异常", no_halls: "此区域还没有大厅", windows_of: "窗口", to_wall: "看画面", updated: "数据更新于 {time}", stale: "数据已停止更新，上次更新于 {time}",
  open: "查看 {name}",
  wrong: {
    title: "正在发生的异常", none: "目前没有异常", none_hint: "所有大厅在线，画面、设备与等候均正常", more: "另有 {n} 项，请进入下级区域查看", since: "已持续 {span}", severe: "紧急", serious: "重要", mild: "提醒",
    kind: {
      node: { quarantined: "节点被隔离", offline: "大厅离线" }, camera: { down: "摄像机无画面" }, picture: { fault: "画面异常" }, rating: { bad: "差评" },
      device: { down: "设备离线", silent: "设备无应答" }, wait: { long: "等候过久" }, window: { paused: "窗口长时间暂停" },
    },
  },
  role: { keypad: "叫号器", evaluator: "评价器", ticket: "取号机", attendance: "考勤机", display: "窗口屏", voice: "语音", printer: "打印机" },
  pick_area: "选择区域或大厅",
  period: { title: "统计周期", day: "日", week: "周", month: "月", quarter: "季", year: "年", back: "上一期", on: "下一期", pick: "选择日期" },
  export: { title: "导出", xlsx: "导出 Excel", csv: "导出 CSV" },
  chart: { top: "最高 {value}", none: "没有数据", table: "表格" },
  figures: {
    arrivals: "取号量", served: "办理量", no_show_rate: "弃号率", average_wait_s: "平均等候", p90_wait_s: "九成等候不超过", service_level: "15 分钟内叫号率", average_service_s: "平均办理",
    utilisation: "窗口利用率", given: "评价数", active_rate: "主动评价率", satisfied: "主动满意率", bad_rate: "差评率", score: "平均分",
  },
  report: {
    title: "统计报表", kind: { day: "日报", week: "周报", month: "月报", quarter: "季报", year: "年报" }, days: "统计期间 {from} 至 {to}", running: "本期未结束，同比、环比取相同天数", before: "环比", year_ago: "同比", print: "打印",
    by_place: "分区域统计", by_child: "下级区域", by_hall: "全部大厅", against: "小字为环比", place: "区域或大厅", sum: "合计", idle: "本期无业务：",
  },
  compare: { title: "大厅对比", figure: "指标", none: "这段时间没有数据" },
  ratings: {
    title: "好差评", grades: "评价等级（主动评价）", defaults: "默认（未评价）", defaults_hint: "邀请后无人按键，不计入满意率", unsolicited: "未计入的按键", unsolicited_hint: "未邀请或重复的按键", given_of: "评价 {given} / 办理 {served}",
    with_defaults: "含默认 {rate}", bad_n: "差评 {n} 件", points: "10/8/6/3/0 分", apart: "单列", by_hall: "各大厅评价", list: { bad: "差评", unsolicited: "未计入的按键", all: "全部评价" }, at: "时间", none: "没有这样的评价",
  },
  cases: {
    find: "查找", find_hint: "办件编号、官方编号或票号", narrow: "筛选", from: "从", until: "至", clerk: "工号", any: "不限", served: "办理时长", clear: "清除筛选", sort_hint: "选定大厅和日期（最多 31 天）后可按此列排序",
    served_is: { brief: "不足 1 分钟", ten: "10 分钟以上", long: "30 分钟以上", hour: "1 小时以上" },
  },
  numbers: {
    title: "官方编号", hint: "上传业务系统导出的 CSV（UTF-8 或 GBK），按办件编号，或按大厅、日期、票号绑定官方编号。先试算，再绑定；不匹配的行会逐行说明。", file: "CSV 文件", source: "业务系统名称", replace: "替换已有的不同编号",
    try: "试算", bind: "绑定", busy: "正在处理…", would: "试算结果（未更改）", did: "绑定结果", row: "行", why: "原因", about: "内容",
    of: { rows: "总行数", bound: "绑定", replaced: "替换", unchanged: "原已绑定", conflicts: "编号冲突", unknown: "找不到办件", unreadable: "无法读取" },
    whys: { unreadable: "无法读取", unknown: "找不到办件", several: "当日票号重复", conflict: "已有其他编号" },
    one: "绑定官方编号", number: "官方编号", taken: "此办件已有其他编号，确认后可替换", save: "保存", saved: "已绑定",
  },
  hooks: {
    title: "事件推送", hint: "把事件按发生顺序推送到其他系统，带签名；对方未收到时逐步延长间隔重试，不会丢失。", add: "新增推送", none: "还没有事件推送", name: "名称", url: "接收地址", kinds: "事件类型", all: "全部", scope: "范围", ca: "接收方证书的签发证书（PEM）",
    secret: "签名密钥，只显示这一次：", delivered: "已推送", behind: "待推送", last_ok: "最近成功", last_error: "最近错误", next: "{time} 重试", change: "修改", off: "停用", on: "启用", renew: "更换密钥", remove: "删除",
    remove_text: "删除“{name}”后不再推送；事件仍保存在中心。", state: { good: "正常", failing: "重试中", off: "已停用", given_up: "已放弃" },
  },
  today: { title: "今日", more: "日报" },
};
