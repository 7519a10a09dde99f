// 简体中文，界面的第一语言。

import admin from "./admin.zh-CN";
import attendance from "./attendance.zh-CN";
import pairing from "./pairing.zh-CN";
import queue from "./queue.zh-CN";
import video from "./video.zh-CN";
import work from "./work.zh-CN";
import supervision from "./supervision.zh-CN";

export default {
  product: { name: "厅窗", full: "厅窗 Hallwatch", tagline: "政务服务大厅窗口值守" },
  nav: { queue: "排队", wall: "视频墙", cases: "办件", attendance: "考勤", nodes: "节点", admin: "管理", menu: "菜单", tree: "组织树" },
  sort: { by: "排序", rising: "升序", falling: "降序" },
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
    shed: "降档", shed_hint: "本机负荷过高，暂时只显示关键帧或静态图，恢复后自动还原",
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
    shed_on: "本机解码跟不上，已自动降档", shed_off: "本机负载恢复，已升回原档", filter: "查找区域、大厅",
  },
  patrol: {
    title: "轮巡", dwell: "停留时间", seconds: "{n} 秒", groups: "分组", by_page: "按屏连续", by_hall: "按大厅分组", order: "顺序", by_tree: "按组织树", by_risk: "按风险（等候久、差评、摄像机故障优先）",
    hours: "时段", hours_hint: "不填则全天；如 1-5T08:30-12:00,1-5T14:00-17:30（1 为周一）", hours_wrong: "时段格式不正确", start: "开始轮巡", stop: "结束轮巡",
    pause: "暂停", go_on: "继续", paused: "已暂停", left: "{n} 秒后翻页", waits: "等待中", until: "{time} 开始",
  },
  preset: {
    title: "预案", none: "还没有预案", name: "预案名称", own: "仅本人", with: "共享给 {place}", share: "共享范围", shared: "{owner} 共享给 {place}", of: "{layout} 分屏 · {n} 路",
    hidden: "另有 {n} 路无权查看或已拆除", save: "保存当前画面（{n} 路）", change: "覆盖同名预案", remove: "删除预案 {name}", yes: "确认删除", taken: "已有同名预案，或数量已满",
    gone: "此预案已不存在", empty: "此预案中没有您可查看的摄像机",
  },
  replay: {
    title: "回放", back: "最近 {n} 秒", since_called: "自叫号起", live: "回到实时", pause: "暂停", play: "播放", speed: "播放速度", loading: "正在从大厅取录像…", nothing: "这段时间没有录像",
    gap: "此处没有录像：{why}", broken: "录像无法播放，请重试", no_case: "此窗口没有已叫号的办件",
    offline: "大厅离线，录像仍在大厅", as_of: "已知截至 {time}", outside: "此时不在该摄像机的录像范围内", export: "导出", clip_of: "{camera} 录像（MP4）", no_camera: "此办件没有摄像机录像", frame_back: "上一帧", frame_on: "下一帧",
    from_ticket: "从取号开始", cameras: "摄像机", scale: "时间轴", keys: "空格 播放/暂停 · ←→ 5 秒 · , . 逐帧 · + − 速度",
  },
  evidence: {
    hint: "导出包含录像、事件、截图与清单，由本中心签名；谁导出、为何导出都会留痕。", reason: "导出原因（必填）", export: "导出证据包", busy: "正在从大厅汇集…", missing: "有 {n} 段录像未能从大厅取到", altered: "有 {n} 段录像与中心当时收到的摘要不符", done: "已保存 {name}", refused: "您的角色不能导出证据包",
  },
  still: { save: "抓拍", saved: "抓拍已保存", failed: "抓拍失败" },
  keys: {
    title: "快捷键", close: "关闭", move: "选择画面", open: "放大选中的窗口", back: "返回", layout: "分屏", page: "翻页", full: "全屏", patrol: "开始或结束轮巡", pause: "暂停或继续轮巡",
    replay: "回放最近 60 秒，再按回到实时", called: "自叫号起回放", still: "抓拍", alarms: "转到告警（↑↓ 选择，回车打开，Delete 忽略）", help: "显示本页", select_first: "请先用方向键选择一个画面",
  },
  alarm: { title: "告警", rating: "收到差评：{grade}", over: "{what}（已恢复）", dismiss: "忽略", clear: "全部忽略", more: "还有 {n} 项" },
  gap: {
    camera_lost: "摄像机没有画面", agent_down: "大厅的边缘节点未运行", clock_stepped: "时钟被调整", parameters_changed: "摄像机更改了编码参数", recorder_behind: "磁盘跟不上写入",
    disk_full: "磁盘已满", disk_out: "磁盘故障、缺失或不属于本厅", not_recordable: "此编码无法录制",
  },
  fault: { black: "画面全黑", frozen: "画面冻结", blocked: "镜头被遮挡", defocused: "画面失焦", out_of_focus: "画面失焦", moved: "摄像机被移动" },
  focus: {
    close: "返回视频墙", timeline: "办件过程", recent: "本窗口最近办件", no_case: "当前没有正在办理的办件", open_case: "查看办件",
    no_window: "安防摄像机，不属于任何窗口", state: "窗口状态", camera: "摄像机",
  },
  case: {
    title: "办件", id: "办件编号", official: "官方编号", hall: "大厅", window: "窗口", ticket: "票号", clerk: "经办人", business: "业务", grade: "评价",
    opened: "取号时间", closed: "办结时间", state: "状态", lasting: "用时", date: "日期", all_halls: "全部大厅", all_windows: "全部窗口",
    empty: "没有符合条件的办件", more: "显示更多", timeline: "事件时间线", events: "{n} 个事件", detail: "办件详情", refresh: "刷新",
    replay: "回放此办件",
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
    find: "按节点、大厅或版本查找", any_state: "全部状态",
    act: "操作", revoke: "吊销证书", lift: "解除隔离",
    revoke_text: "吊销后，节点 {id} 将立即断开，不能再连接中心，直到用新的配对码重新登记。大厅设备照常工作，事件保存在本地。",
    lift_text: "解除前请确认 {id} 只有一台机器在使用其证书。隔离原因：{why}",
  },
  error: {
    unreachable: "无法连接到中心", unreachable_detail: "请检查网络；页面会自动重试。", retry: "重试", title: "出现问题", not_found: "没有这个页面", home: "返回首页",
    refused: "没有权限查看此页面", failed: "中心出现故障，请稍后重试",
    status: {
      "400": "请求有误", "401": "请先登录", "403": "没有权限", "404": "找不到该内容", "408": "等待超时", "409": "当前状态不允许此操作", "422": "不符合规则",
      "429": "操作过于频繁，请稍后再试",
    },
  },
  ask: { no: "取消" },
  admin,
  att: attendance,
  pair: pairing,
  queue,
  video,
  work,
  over: supervision,
  kiosk: {
    title: "自助取号", choose: "请选择要办理的业务", nothing: "本厅尚未设置业务", opening: "正在连接…", printing: "正在打印，请稍候", number: "您的号码", waiting: "您前面等候 {n} 人", take: "请取走号票，留意叫号",
    kept: "号码有效，请记下：", again: "重新打印", done: "完成", back: "返回", staff: "请联系大厅工作人员",
    why: {
      paper_out: "打印机缺纸", cover_open: "打印机盖子未合上", cutter: "切刀卡住", unrecoverable: "打印机故障，需要维修", mechanical: "打印机卡纸", cooling_down: "打印机过热，稍候自动恢复", offline: "打印机离线",
      partial: "号票只打印了一部分", down: "打印机未连接", busy: "打印任务过多，请稍候", "too-many": "取号过于频繁，请稍候再试", "other-machine": "本厅由取号机取号", "no-printer": "本厅没有号票打印机", "not-a-kiosk": "此设备不能取号", lost: "与大厅主机的连接中断", unknown: "暂时不能取号",
    },
  },
  loading: "正在读取…",
};
