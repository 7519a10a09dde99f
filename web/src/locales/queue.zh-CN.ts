// 大厅排队情况页面的文字。

export default {
  title: "排队情况", hall: "大厅", last_event: "最近事件 {time}", away: "大厅与中心的连接中断，以下为 {time} 时的情况", min: "分", upto: "至 {n} 分", unnamed: "（未注明业务）",
  verdict: { in_hand: "排队正常", attention: "需要处理", closed: "未开窗", count: "{n} 项超出阈值" },
  key: { waiting: "等候人数", longest: "最长等候", average: "平均等候", open: "开窗数 ÷ 应开", soon: "现在取号预计等候", level: "{n} 分钟内叫号率" },
  alarm: {
    waiting_many: "{where}：每个开放窗口有 {value} 人等候（阈值 {limit} 人）", longest_wait: "{where}：最长等候 {value} 分钟（阈值 {limit} 分钟）",
    windows_short: "开放窗口 {value} 个，应开 {limit} 个", forecast_long: "预计半小时内等候可达 {value} 分钟（阈值 {limit} 分钟）",
    long_pause: "{where} 暂停服务 {value} 分钟（阈值 {limit} 分钟）", device_silent: "设备 {device} 已 {value} 分钟无应答（阈值 {limit} 分钟）",
    call_burst: "{where} 两次叫号仅隔 {value} 秒（阈值 {limit} 秒）",
  },
  by_business: "各业务等候", business: "业务", all_businesses: "全部业务", open: "开窗", no_business: "该大厅尚未设置业务", no_hall: "没有归您管理的大厅",
  windows: "窗口", window: "{n} 号窗口 {name}", windows_are: "开放 {open} 个，其中暂停 {paused} 个，共 {all} 个", due_by: { plan: "应开 {n} 个（按计划）", need: "应开 {n} 个（按近一小时取号量测算）" },
  day: "分时情况",
  measure: { arrivals: "取号量", calls: "叫号量", served: "办理量", no_shows: "弃号", average_wait: "平均等候（分）", p90_wait: "P90 等候（分）", average_reach: "到窗时长（分）", average_service: "平均办理（分）", service_level: "服务水平" },
  chart: {
    against: "{date}（上一同星期日）", before: "对比日", was: "对比 {n}", hint: "指向图形或用左右键查看准确数值", label: "{date} 每刻钟{measure}", measure: "指标", as_table: "看表格", as_chart: "看图形", quarter: "时刻", empty: "这一天还没有业务",
  },
  forecast: {
    title: "未来一小时", taken: "取号时间", wait: "预计等候", now: "现在", range: "{p50}–{p90} 分", arrivals: "预计取号", needed: "需开窗", one_more: "如果现在多开一个窗口", without: "不多开窗口",
    unknown: "数据太少，暂时无法预测", no_window: "没有窗口在服务，无法预测", delays: "数据较少，按最近的等候推算。",
    score: "{date} 的预测误差：{n} 张号平均相差 {mae} 分钟，{cover} 未超出预计上限（应为 90%）。", unscored: "还没有可对照的前一日预测。",
  },
  devices: "设备", devices_are: "{all} 台设备中 {well} 台正常", health: { unknown: "状态未知", silent: "无应答", degraded: "异常", down: "离线", unconfirmed: "按键未确认" },
  callout: { title: "叫号大屏", text: "大厅的叫号屏由大厅主机提供，中心断开时照常叫号，带语音。在连接电视的电脑浏览器中打开：", machine: "大厅主机" },
  limits: {
    open: "阈值", title: "本大厅的阈值", default: "默认 {n}", save: "保存", cancel: "取消", set_by: "{who} 于 {at} 设置", never: "尚未修改，使用默认值", locked: "只有本大厅的负责人和管理员可以修改",
    waiting_per_window: "每个开放窗口等候人数达到", longest_wait_minutes: "任何人等候达到（分钟）", forecast_p90_minutes: "半小时内预计等候上限超过（分钟）", pause_minutes: "窗口暂停达到（分钟）",
    device_silent_minutes: "设备无应答达到（分钟）", call_burst_seconds: "两次叫号间隔小于（秒）", service_level_percent: "目标：叫号率（%）", service_level_minutes: "目标：在多少分钟内叫号", windows_planned: "应开窗数", planned_none: "不填则按取号量测算",
  },
};
