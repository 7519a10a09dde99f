// 简体中文，界面的第一语言。

export default {
  product: { name: "厅窗", full: "厅窗 Hallwatch", tagline: "政务服务大厅窗口值守" },
  nav: { wall: "视频墙", cases: "办件", nodes: "节点", menu: "菜单", tree: "组织树" },
  sign: {
    in: "登录", out: "退出登录", name: "用户名", password: "密码", hint: "请使用管理员分配的账号登录",
    need_name: "请输入用户名", need_password: "请输入密码", busy: "正在登录…", wrong: "用户名或密码错误", often: "尝试次数过多，请稍后再试", again: "登录已失效，请重新登录",
    promise: ["事件不丢", "画面不假", "越权不见"],
  },
  password: {
    title: "修改密码", must: "首次登录，请先设置新密码", old: "当前密码", fresh: "新密码", again: "再次输入新密码", differ: "两次输入的新密码不一致",
    change: "修改密码", done: "密码已修改，其他登录已退出",
  },
  role: { administrator: "系统管理员", supervisor: "监管人员", hall_manager: "大厅管理员", hr: "人事人员", technician: "运维人员" },
  look: { theme: "外观", auto: "自动", light: "浅色", dark: "深色", language: "语言" },
  age: { ms: "{n} 毫秒", s: "{n} 秒", min: "{n} 分钟", h: "{n} 小时", d: "{n} 天", ago: "{age}前" },
  link: { up: "实时连接", down: "连接中断，正在重连", since: "更新于 {time}" },
  state: {
    closed: "关窗", idle: "空闲", called: "已叫号", serving: "办理中", rating: "评价中", paused: "暂停服务", unknown: "未知",
  },
  tile: {
    live: "在线", connecting: "连接中", stale: "画面停滞", offline: "离线", forbidden: "无权查看", unsupported: "无法播放", empty: "无画面",
    frozen: "画面停在 {age}前", no_camera: "空位", security: "安防",
  },
  path: { mse: "MSE", webcodecs: "WebCodecs", still: "图片", because: "{path}：{why}" },
  why: {
    link: "与中心的连接中断", forbidden: "没有查看此摄像机的权限", offline: "摄像机离线", unsupported: "浏览器无法播放此编码",
    no_frames: "没有新的画面", late: "画面延迟过大或大厅时钟有偏差", codec: "浏览器不支持此编码，改为图片",
    said: {
      frozen: "摄像机不再送出画面，正在重连", silent: "摄像机已连接但没有画面", password: "摄像机拒绝用户名或密码，请设置正确的密码", path: "摄像机没有此地址的码流，请检查路径",
      unreachable: "连接不到摄像机", refuses: "摄像机没有开始送流", no_video: "摄像机没有 H.264 视频", unplayable: "摄像机的编码浏览器无法播放，请改为 H.264；目前只显示图片",
      ended: "码流已中断，正在重连", hall: "大厅的边缘节点未连接到中心",
    },
  },
  window: {
    ticket: "当前号", case: "办件编号", clerk: "窗口人员", waiting: "等候", waiting_n: "等候 {n} 人", last_rating: "最近评价",
    none: "无", since: "已 {span}", nobody: "未签到", number: "{n} 号窗口", pause_reason: "暂停原因",
  },
  grade: { "5": "非常满意", "4": "满意", "3": "基本满意", "2": "不满意", "1": "非常不满意", none: "未评价" },
  wall: {
    layout: "分屏", page: "第 {page} / {pages} 页", previous: "上一页", next: "下一页", full: "全屏", everything: "全部",
    kind_window: "窗口", kind_security: "安防", kind_all: "全部", empty: "此处没有摄像机", empty_hint: "在左侧选择其他区域、大厅或窗口",
    coverage: "关联率", coverage_hint: "带办件编号的窗口事件 {tagged} / {all}", at: "{time} 更新",
    loading: "正在读取组织树…", live_of: "{live}/{all} 在线", alarms: "{n} 项告警", cameras: "{n} 路", windows: "{n} 个窗口",
    keys: "方向键 选择 · 回车 放大 · 1–8 分屏 · F 全屏 · PgUp/PgDn 翻页", filter: "查找区域、大厅",
  },
  focus: {
    close: "返回视频墙", timeline: "办件过程", recent: "本窗口最近办件", no_case: "当前没有正在办理的办件", open_case: "查看办件",
    no_window: "安防摄像机，不属于任何窗口", state: "窗口状态", camera: "摄像机",
  },
  case: {
    title: "办件", id: "办件编号", official: "官方编号", hall: "大厅", window: "窗口", ticket: "票号", clerk: "经办人", business: "业务", grade: "评价",
    opened: "取号时间", closed: "办结时间", state: "状态", lasting: "用时", date: "日期", all_halls: "全部大厅", all_windows: "全部窗口",
    empty: "没有符合条件的办件", more: "显示更多", timeline: "事件时间线", events: "{n} 个事件", detail: "办件详情", refresh: "刷新",
    not_found: "找不到此办件", unbound: "未绑定", inexact: "时间不精确", from: "从", to: "到",
    states: { waiting: "等候中", called: "已叫号", serving: "办理中", rated: "已评价", closed: "已结束" },
  },
  event: {
    ticket: { issued: "取号", called: "叫号", recalled: "重呼", no_show: "过号", transferred: "转移", held: "挂起", resumed: "恢复" },
    service: { started: "开始办理", ended: "办理结束" },
    case: { opened: "办件开立", closed: "办件结束", bound: "绑定官方编号" },
    window: { opened: "开窗", paused: "暂停服务", resumed: "恢复服务", closed: "关窗" },
    clerk: { signed_in: "人员签到", signed_out: "人员签退" },
    rating: { invited: "邀请评价", given: "评价", timed_out: "评价超时", unsolicited: "非邀请评价" },
    punch: { recorded: "打卡" },
    device: { up: "设备在线", silent: "设备无应答", degraded: "设备异常", down: "设备离线", paired: "设备配对", replaced: "设备更换", clock_offset: "时钟偏差" },
    camera: { up: "摄像机在线", down: "摄像机离线" },
    picture: { fault: "画面异常" },
    seat: { changed: "在岗变化" },
    recording: { sealed: "录像封存", gap: "录像缺口" },
    node: { started: "节点启动", clock_stepped: "时钟跳变", disk_low: "磁盘空间不足", config_changed: "配置变更" },
    command: { done: "指令完成" },
  },
  fact: {
    printed_waiting: "前面等候 {n} 人", priority: "优先", by_number: "指定号", count: "第 {n} 次", to_window: "转至 {n}", official_no: "{n}", source: "来源 {n}",
    clerk: "工号 {n}", seconds: "{n} 秒内",
    ended_by: {
      evaluate: "按下评价键", rated: "已评价", rating_timed_out: "评价超时", next_call: "呼叫下一号", no_show: "过号", transfer: "转移", held: "挂起",
      window_closed: "关窗", day_end: "当日结束",
    },
    why: { not_invited: "未邀请时按键", second_press: "重复按键", unmapped: "未定义的键" },
  },
  node: {
    title: "节点", id: "节点", hall: "大厅", seen: "最近通信", state: "状态", online: "在线", offline: "离线", quarantined: "已隔离",
    certificate: "证书到期", outbox: "待提交事件", offset: "时钟偏差", revoked: "证书已吊销", version: "版本", empty: "还没有任何节点", empty_hint: "为大厅生成配对码，在大厅设备上登记",
    pair: "生成配对码", pair_title: "为大厅生成配对码", pair_hint: "配对码只能使用一次，24 小时内有效。", choose_hall: "选择大厅",
    code: "配对码", pin: "中心密钥指纹", expires: "有效期至", command: "在大厅设备上执行", copy: "复制", copied: "已复制", close: "关闭", never: "从未",
    act: "操作", revoke: "吊销证书", lift: "解除隔离",
    revoke_text: "吊销后，节点 {id} 将立即断开，不能再连接中心，直到用新的配对码重新登记。大厅设备照常工作，事件保存在本地。",
    lift_text: "解除前请确认 {id} 只有一台机器在使用其证书。隔离原因：{why}",
  },
  error: {
    unreachable: "无法连接到中心", unreachable_detail: "请检查网络；页面会自动重试。", retry: "重试", title: "出现问题", not_found: "没有这个页面", home: "返回视频墙",
    refused: "没有权限查看此页面", failed: "中心出现故障，请稍后重试",
    status: {
      "400": "请求有误", "401": "请先登录", "403": "没有权限", "404": "找不到该内容", "408": "等待超时", "409": "当前状态不允许此操作", "422": "不符合规则",
      "429": "操作过于频繁，请稍后再试",
    },
  },
  ask: { no: "取消" },
  loading: "正在读取…",
};
