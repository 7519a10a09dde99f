// 设备配对页面与叫号屏的文字。

export default {
  title: "设备配对", home: "设备", back: "返回", more: "更多", ok: "知道了", next: "下一步", cancel: "取消", busy: "请稍候…", optional: "（可不填）",
  offline: "连不上大厅主机，正在重试；下面的内容可能已过时", centre_down: "与中心的连接中断，配对照常进行", read_ago: "{age}前读取",
  address_n: "地址 {n}",
  pass: {
    title: "大厅运维", hint: "请出示现场通行证", paste: "粘贴通行证", scan: "扫描二维码", enter: "进入", busy: "正在核对…", lost: "登录已失效，请重新出示通行证",
    where: "通行证由中心的管理员或运维人员签发，限定大厅和时间；断网时也能使用。", out: "退出", no_camera: "打不开相机：请允许使用相机，或改为粘贴", aim: "把二维码放进画面",
    until: "通行证有效至 {time}", issue: "签发通行证", issue_hint: "通行证只对本大厅有效，到期自动失效；只显示这一次。", hours: "有效时长", hours_n: "{n} 小时",
    issued: "请让运维人员用手机扫描，或复制后发送", copy: "复制通行证", copied: "已复制", list: "已签发的通行证", none: "还没有签发过通行证", revoke: "吊销", revoked: "已吊销", expired: "已过期",
    valid: "有效", revoke_text: "吊销后 {name} 不能再用此通行证配对设备。大厅未连接时，吊销在恢复连接后生效。", for: "运维人员", from_until: "{from} 至 {until}", by: "签发人 {name}",
    issue_title: "现场通行证", at_hall: "大厅页面：手机连接大厅网络，打开大厅主机的地址，扫描或粘贴通行证。",
  },
  state: { online: "在线", silent: "无应答", degraded: "异常", down: "离线", unconfirmed: "按键未确认", unknown: "未知", unbound: "未绑定" },
  health: {
    since: "持续 {age}", last: "最近读数 {age}前", never: "尚无读数", bad: "坏帧 {n}/分钟", fast: "时钟快 {n} 秒", slow: "时钟慢 {n} 秒",
    in_test: "测试中", unconfirmed: "按键含义未经确认，评价不计入", all_good: "全部正常", faults: "{n} 台需要处理",
  },
  why: {
    not_there: "找不到设备（已拔出，或路径不对）", no_permission: "没有权限打开端口：服务用户须在 dialout 组", refused: "连接被拒绝", no_answer: "没有及时应答", hung_up: "已断开（拔出或关机）",
    another: "此插口插的是另一台设备：请插回原设备，或在此更换", key_refused: "考勤机拒绝通信密码，请与考勤机菜单核对", key_asked: "考勤机要求通信密码（见考勤机菜单）", not_called: "考勤机启动后尚未连接",
  },
  role: {
    evaluator: "评价器", keypad: "叫号器", ticket: "取号机", attendance: "考勤机", camera: "摄像机", display: "窗口屏", voice: "语音", printer: "打印机", modem: "短信模块", sensor: "传感器", unknown: "未知设备",
  },
  window: {
    numbered: "{n}号窗口 {name}", choose: "选择窗口", hint: "您站在哪个窗口前？", find: "输入窗口号", scan: "扫描窗口二维码", hall: "整个大厅", hall_hint: "取号机、考勤机等不属于窗口的设备",
    none: "没有这个窗口", devices: "{n} 台设备", no_device: "还没有设备", not_ours: "这个二维码不属于本大厅", add: "在此窗口添加设备", here: "本窗口的设备", add_hall: "在大厅添加设备",
  },
  visit: {
    open: "开启配对", opening: "开启配对窗口", open_hint: "配对窗口开启期间才能查找和绑定设备，到时自动关闭，全程留痕。", minutes: "{n} 分钟", hours: "{n} 小时", longer: "需要更长时间", approver: "批准人姓名",
    approver_hint: "超过 10 分钟须有批准人，最长 8 小时", left: "剩余 {time}", closes: "配对窗口将在 {time} 后自动关闭", extend: "延长 10 分钟", close: "关闭配对窗口",
    close_text: "关闭后需要重新开启才能继续。未签字的绑定保留，验收单不会生成。", expired: "配对窗口已到时自动关闭。已绑定的设备保留。", again: "重新开启", left_why: "配对窗口已关闭。",
    other: "{name} 正在本大厅配对，请等其结束", signed: "已签字", running: "配对进行中", go_on: "继续配对", step: "第 {n} 步，共 6 步", steps: ["窗口", "查找", "识别", "绑定", "测试", "验收"],
    need: "请先开启配对窗口", unknown: "正在确认配对状态…", why_signed: "已签字", why_left: "已关闭", why_expired: "到时关闭",
  },
  find: {
    title: "查找设备", start: "开始查找", again: "再次查找", stop: "停止", how: "从哪里找", port: "串口", ports_none: "大厅主机上没有空闲串口：请插好转换器，几秒后自动出现", baud: "波特率", used: "已用于 {who}",
    addresses: "地址范围", count: "{n} 个地址", most: "最多 {n} 个地址", bad_range: "例：192.168.1.0/24 或 192.168.1.10-60", kind: "设备类型", found: "找到 {n} 台", nothing: "还没有找到设备", select: "选择这台",
    bus_hint: "请按一下要配对的设备上的任意键，它会出现在下面", wait: "正在等待设备…", range: "查找范围", searched: "已查 {tried} / {of}", bound_to: "已绑定：{who}", candidates: "找到的设备", pressing: "正在按键", credential: "凭据",
    credential_new: "新凭据", credential_name: "凭据名称", credential_secret: "密码或密钥", credential_form: "字母、数字、- 和 _", credential_hint: "密码加密保存在大厅主机，不再显示；没有默认密码。", credential_none: "不需要", keep: "保存凭据", rows: "取号格式（正则）", business: "业务格式（正则）",
    state: { searching: "查找中", listening: "监听中", done: "已查完", stopped: "已停止", failed: "失败" },
    source: { bus: "串口总线", attendance: "网络考勤机", push: "主动连接的考勤机", stated: "已知位置", unknown: "未知评价器", onvif: "摄像机（ONVIF）", camera: "摄像机", ticket: "取号机", hid: "USB 键盘评价器", modbus: "Modbus", profile: "设备描述" },
    connection: { bus_keypad: "叫号器（总线）", bus_evaluator: "评价器（总线）", printer_tap: "取号机打印线", zk: "考勤机（ZK）", camera: "摄像机（码流地址）", push: "考勤机（主动连接）", fingerprint: "指纹模块", printer: "取号打印机", profile: "按协议描述的设备" },
    push_hint: "列出已经连到大厅主机的考勤机：先在考勤机菜单里填好大厅主机的地址和端口。", profile: "协议", via: "接在", vias: { serial: "串口", tcp: "网络（串口服务器）", keyboard: "USB 键盘" }, keyboard: "键盘设备", text: "叫号文字", paper: "纸宽", note: "票尾文字", family: "协议", slots: "指纹位与工号", means: "打卡含义", in: "上班", out: "下班", address: "总线地址", host: "IP 地址:端口", ack: "应答形式",
  },
  range: { port: "{v}", baud: "{v} 波特", addresses: "地址 {v}", address: "{v}", network: "网段 {v}", seconds: "{v} 秒", interfaces: "组播自 {v}", http_ports: "ONVIF 端口 {v}", rtsp_port: "RTSP 端口 {v}", listen: "监听 {v}", serial: "序列号 {v}", profile: "协议 {v}", role: "{v}", transports: "{v}", main: "{v}", sub: "{v}", user: "用户 {v}", credential: "凭据 {v}", kind: "{v}" },
  identify: {
    title: "识别设备", ask: "是它吗？", hint: "让设备动一下，看看是不是您面前这台。", evaluate: "让它亮灯或说话", beep: "让它响一声", blink: "让它闪灯", voice: "让它说话", still: "拍一张画面", print: "打印测试条",
    speak: "让它说话", display: "显示测试文字", sent: "已发送，请看设备", again: "再来一次", press: "按一下设备上的任意键", pressed: "收到这台设备的按键", yes: "是它", no: "不是", cannot: "这台设备不能自己示意：请按它的键或刷一次，看下面是否有反应", details: "设备信息",
    fact: "{name}：{v}",
  },
  camera: {
    main: "主码流", sub: "辅码流", fps: "{n} 帧/秒", user: "用户名", maker: "厂家", maker_other: "其他", read: "读取码流", take: "使用这些地址", by_hand: "改为手工填写码流地址", by_onvif: "改为自动读取码流",
    sign_in: "登录摄像机", where: "码流在哪里", sign_in_hint: "密码只用于这一台，不会在其他摄像机上尝试；连续输错几次摄像机会锁定用户。", no_sub: "不用辅码流", sub_hint: "辅码流用于画面墙，宜 640×360、H.264", other_sign_in: "更换用户、密码或码流",
    hint: "拍一张画面，看看是不是您面前这台。", first: "先读取码流，再拍一张画面确认。", in_use: "这个地址的摄像机已用于：{who}", sees: "看哪里", hall_at_large: "整个大厅", number: "编号", free: "{name}（新增）", used: "{name}（已有摄像机）",
    searched_by: "在所填网段内以 ONVIF 发现，并逐个地址询问 ONVIF 与 RTSP；不尝试任何密码。", ports: "其他端口", http_ports: "ONVIF 端口（空格分隔）", rtsp_port: "RTSP 端口",
    problem: {
      "needs-credential": "摄像机要求用户名和密码", unauthorized: "摄像机拒绝此用户名或密码", unreachable: "连不上摄像机", timeout: "摄像机没有及时应答", "no-onvif": "此地址没有 ONVIF，请手工填写码流地址", fault: "摄像机不支持此查询，请手工填写码流地址",
      connect: "连不上摄像机", no_stream: "此地址没有可用的码流", describe: "摄像机没有说明码流", setup: "摄像机没有开始播放", unsupported: "摄像机没有 H.264 或 H.265 码流", first_frame: "摄像机没有送出画面", frame_timeout: "画面中断", stream: "码流中断", still: "画面不能解码",
    },
  },
  audit: {
    verdict: { good: "良好", usable: "可用，建议调整", unfit: "不合用，须调整", failed: "无法播放" },
    codec: "编码", size: "分辨率", fps: "帧率", told: "（标称 {n}）", kbps: "码率", gop: "最长关键帧间隔", clock: "时钟偏差", untold: "未告知", offset: "{n} 秒", seconds: "{n} 秒", played: "播放时长",
    what: {
      no_key_frame: "播放 {seconds} 秒没有关键帧", ended_early: "播放 {seconds} 秒后自行中断", h265: "编码为 H.265，画面墙只能显示静态画面", profile_unplayable: "编码档次 {profile}，浏览器不能播放", gop_long: "关键帧间隔 {seconds} 秒，打开画面要等这么久",
      gop_irregular: "关键帧间隔不均匀：{shortest_s} 至 {longest_s} 秒（智能编码）", b_frames: "含 B 帧，画面延迟大，浏览器不能播放", fewer_frames: "标称 {told} 帧/秒，实际 {fps}", more_frames: "标称 {told} 帧/秒，实际 {fps}", few_frames: "只有 {fps} 帧/秒，看不清动作",
      times_wrong: "摄像机时间戳 {stamped} 帧/秒，实际 {fps}", times_jump: "摄像机时间戳跳变 {count} 次", bit_rate_high: "码率 {kbps} kbit/s，超过合理上限 {most}", sub_large: "辅码流 {width}×{height} 太大", main_small: "主码流 {width}×{height}，不足以取证",
      clock_off: "摄像机时钟偏差 {seconds} 秒，画面上的时间不对", clock_unknown: "摄像机播放时不告知时间", first_picture_slow: "首个画面 {ms} 毫秒后才到", packets_lost: "{frames} 帧中丢失 {packets} 个数据包", pause: "中途停顿 {ms} 毫秒",
    },
    change: {
      codec_h264: "视频编码改为 H.264", profile_main: "编码档次改为 Main", key_frame_interval: "I 帧间隔设为 {frames} 帧", smart_codec_off: "关闭智能编码（H.264+、Smart Codec、U-Code）", b_frames_off: "关闭 B 帧", frame_rate: "帧率设为 {fps}", slow_shutter_off: "关闭慢快门，或补光",
      bit_rate: "码率上限设为 {kbps} kbit/s", resolution: "分辨率设为 {width}×{height}", time_server: "校时服务器设为大厅主机所用的", network: "检查网线、交换机端口，以及是否有太多人在看这台摄像机",
    },
  },
  fact: { address: "地址", name: "名称", maker: "厂家", model: "型号", firmware: "固件", server: "服务", rtsp: "RTSP", onvif: "ONVIF", clock_offset_s: "时钟偏差（秒）", platform: "平台", users: "用户数", records: "记录数" },
  sniff: {
    title: "学习未知评价器", hint: "用于协议不明的评价器：单独接在一条串口上，依次按下每个键，由系统推断协议。", quiet: "先不要按键：正在听设备自己会说什么。准备好后点「开始」。", start: "开始", resume: "继续", listening: "正在听…", go_on: "还有键没有按够，点「继续」。",
    now: "请按「{grade}」{n} 次，每秒一次", all: "五个键都听到了，给它起个名字", presses: "{n} / {of} 次", again: "重按", anew: "全部重来", own: "未按键时也收到 {n} 段数据，已记作背景", over: "这条线不能再听：{why}",
    name: "协议名称", name_hint: "小写字母、数字和连字符，如 evaluator-acme-5", words: "说明", propose: "推断协议", proposed: "推断完成，{n} 个自带测试全部通过", sure: "确定的内容", frames: "各键的数据", keep: "保存并绑定", confirmed: "按键含义由您刚才逐个按下确认，绑定后即可使用",
    found: {
      fixed_length: "每次按键 {bytes} 个字节", length_field: "第 {offset} 字节起是长度", ends_by_tail: "长度不一，以相同字节结尾", ends_by_silence: "长度不一，以静默结尾", checksum: "校验 {kind}：第 {from} 至 {to} 字节，位于 {at}", no_checksum: "没有校验：受干扰时可能认错键",
      key_byte: "第 {offset} 字节区分按键（有效位 {mask}）", changing: "第 {offset} 字节每次都变，已忽略", repeated: "每次按键最多重复 {times} 次，{window_ms} 毫秒内算一次；设备可能在等应答", other_frames: "有 {count} 帧不是按键，已忽略", address_unknown: "只有一台设备，看不出哪个字节是地址：同一条线上接两台需另行填写",
    },
    problem: {
      "too-few-buttons": "至少要按两个不同的键", "too-much": "听到的数据太多：线上是否有别的设备在说话？", "not-heard": "有的键没有听够：请核对波特率和接线，再按一次", unsteady: "同一个键每次长短不一，不能推断", "no-key-byte": "没有哪个字节能区分按键：这种设备需要专用驱动", "not-verified": "推断的协议读不回所听到的按键", grade: "评价只有 1 至 5",
    },
  },
  bind: {
    title: "绑定位置", to: "绑定到", do: "绑定", window: "窗口", role: "用途", name: "位置编号", name_hint: "大写字母加两位数字，如 T01", need_window: "这种设备要绑定到窗口，请先选择窗口", occupied: "{who} 已有设备", bound: "这台设备已绑定在 {who}",
    ask: "这是哪种情况？", replaced: "更换", replaced_hint: "旧设备坏了或换新，这台接替它。位置和历史记录不变。", moved: "移动", moved_hint: "同一台设备从别处搬来。原位置变为未绑定。", cloned: "两台相同", cloned_hint: "另一台设备的标识与它相同，两台都保留。",
    new: "新增", confirm: "确认{what}", done: "已绑定", unbind: "取下设备", unbind_text: "取下后 {who} 变为未绑定，历史记录保留，24 小时内可撤销。", ack_hint: "一般为 A；若设备按键后反复发送或一直等待，改为 B", maker: "出厂按键含义稍后在测试时确认",
  },
  test: {
    title: "测试", start: "开始测试", case: "测试办件编号", case_hint: "测试数据不进入统计", press_five: "请依次按下五个键", now: "现在请按：{grade}", all: "五个键都已收到，请核对", wrong: "点一下格子可重新学习该键", heard: "按下 {n} 次", no_key: "未收到",
    other: "其他按键", confirm: "按键正确，确认", lacking: "还差 {n} 个键", only: "此评价器只有 {n} 个键", confirmed: "按键已确认，评价器可以使用", end: "测试通过", ended: "测试已完成", live: "实时读数", waiting: "等待读数…", keypad: "请按叫号器上的键，下面应立即出现",
    ticket: "请取一个测试号，下面应立即出现票号", attendance: "请打一次卡，下面应立即出现", camera: "摄像机将播放主、辅码流各 10 秒，给出编码、帧率、码率、时钟偏差和结论。", playing: "正在播放码流…", playing_hint: "每路约 10 秒，完成后自动显示结论", display: "让它显示测试文字，看看窗口屏。", voice: "让它说一句测试语音，听听是否清楚。", printer: "打印一张测试条，看看纸张和二维码。", modem: "短信模块的状态见下方。", shown_print: "测试条已打印", shown_display: "测试文字已发送", shown_voice: "测试语音已播放", shown_evaluate: "已发送，请看评价器", generic: "请操作设备，下面应立即出现读数", next_device: "继续添加设备", accept: "去验收", retest: "重新测试", relearn: "全部重新学习", raw: "字节 {raw}",
    map_by: "按键由 {name} 于 {time} 确认",
  },
  live: {
    pressed: "按键", key: "按键 {key}", digits: "数字 {digits}", ticket: "票号 {number} · {business}", waiting: "等候 {n}", punch: "打卡", health: "状态 {state}", raw: "字节 {raw}",
    keys: { start: "开始", evaluate: "评价", call: "呼叫", recall: "重呼", cancel: "取消", function: "功能", metre: "一米线", pause: "暂停", transfer: "转移" },
  },
  accept: {
    title: "五点验收", hint: "逐项检查，每项选择结果", quantity: "数量", quantity_hint: "设备数量与清单一致", place: "点位", place_hint: "安装位置正确、牢固", picture: "图像", picture_hint: "画面清晰、角度正确、无遮挡", display: "界面",
    display_hint: "显示、时间、名称正确", link: "链路", link_hint: "线路整齐、通信稳定", pass: "合格", fail: "不合格", not_applicable: "不适用", note: "说明", photo: "拍照", photo_again: "重拍", photo_busy: "正在上传照片…", photo_bad: "这个文件不是照片",
    done: "{n} / 5 项", next: "去签字", bound: "本次绑定的设备", none_bound: "本次还没有绑定设备", unconfirmed: "按键还未确认：{who}", photo_of: "{point}照片",
  },
  sign: {
    title: "签字", name: "验收人姓名", hall_name: "大厅负责人姓名", do: "签字并生成验收单", text: "签字后配对窗口关闭，验收单不能再改。", done: "验收完成", done_hint: "验收单已生成", open: "打开验收单 PDF", download: "下载 PDF", home: "完成", points: "验收结果", devices: "设备",
  },
  place: {
    history: "更换历史", bound_at: "绑定时间", hardware: "硬件标识", serial: "序列号", connection: "连接", source: "来源", sources: { config: "配置文件", visit: "现场配对", import: "批量导入" }, test: "测试此设备", replace: "更换设备", map: "按键含义", to_now: "至今",
    why: { paired: "配对", new: "新增", replaced: "更换", moved: "移动", cloned: "相同设备", unbound: "取下", undone: "撤销", import: "导入", imported: "导入", config: "配置文件" },
  },
  records: {
    title: "配对记录", empty: "还没有配对记录", chain_whole: "记录完整，未被改动", chain_broken: "记录链已断：有步骤被改动", steps: "步骤", sheet: "验收单", positions: "{n} 个位置", photos: "照片",
    kind: {
      opened: "开启配对窗口", extended: "延长配对窗口", window_chosen: "选择窗口", search_began: "开始查找", search_ended: "查找结束", found: "找到设备", profile_kept: "保存协议", described: "读取码流", audited: "码流检查", shown: "让设备示意", credential_set: "保存凭据", identify: "让设备示意", identified: "确认身份", bound: "绑定", unbound: "取下",
      test_began: "开始测试", pressed: "收到读数", test_ended: "结束测试", grades_confirmed: "确认按键", photo_taken: "拍照", judged: "验收项", imported: "导入", undone: "撤销", signed: "签字", closed: "关闭配对窗口",
    },
    is_it: "是它", not_it: "不是它", until: "至 {time}",
  },
  undo: {
    title: "撤销", hint: "24 小时内的绑定、更换和导入可以撤销", empty: "没有可撤销的操作", do: "撤销", until: "{time} 前可撤销", done: "已撤销", text: "撤销「{what}」：{who} 恢复到之前的状态。", what: { bind: "绑定", replace: "更换", move: "移动", unbind: "取下", import: "导入" }, need: "撤销前请先开启配对窗口",
  },
  import: {
    title: "批量导入", hint: "选择 XLSX 或 CSV 表格，先试算，不改动任何位置", choose: "选择表格", trial: "试算结果", apply: "导入 {n} 行", applied: "已导入", refuse_all: "有 {n} 行不能导入：改正表格后重新选择", line: "行", fate: "结果", position: "位置", problem: "问题",
    fates: { add: "新增", change: "修改", same: "不变", refuse: "拒绝" }, columns: "列名：窗口、角色、名称、端口、波特率、地址、应答、评价码、凭据", nothing: "没有要改动的行", need: "导入前请先开启配对窗口", other: "换一个文件",
    codes: {
      "no-window": "没有 {window} 号窗口", "bad-role": "角色不认识", "bad-address": "地址不对", "no-port": "没有这个端口", "bad-baud": "波特率不对", "bad-grades": "评价码不对", "bad-name": "名称不对", twice: "与第 {line} 行重复", "address-twice": "地址与第 {line} 行相同", "bad-pattern": "格式不对",
    },
  },
  codes: { title: "窗口二维码", hint: "打印后贴在各窗口：扫描即打开该窗口的页面", print: "打印" },
  callout: { title: "叫号屏", please: "请 {number} 号到 {window} 号窗口", number: "票号", window: "窗口", sound_off: "点此开启声音", lost: "连接中断，正在重连", waiting: "等待叫号", to: "请到", hao: "号" },
  problem: {
    "bad-request": "请求有误：{why}", "no-session": "登录已失效，请重新出示通行证", "pass-refused": "通行证无效", origin: "请求来自其他网站，已拒绝", "not-found": "找不到该内容，可能已被删除", "no-visit": "没有开启的配对窗口，请先开启",
    "visit-open": "{technician} 正在配对，{expires_at} 前有效", "position-occupied": "此位置已有设备", "device-bound": "这台设备已绑定在别处", "port-in-use": "端口 {port} 已被 {by} 使用", "not-in-test": "请先开始测试", "keys-missing": "按键与对应关系不一致：请把按过的键都对应好",
    "points-missing": "还有验收项没有结果", unconfirmed: "有评价器的按键未确认，请先测试", "not-signed": "尚未签字，没有验收单", "too-late": "已超过 24 小时，不能撤销", "changed-since": "此位置之后又有变动，请先撤销较晚的操作", "too-large": "文件太大", "bad-photo": "不是可用的照片，请重拍",
    "bad-file": "不是 XLSX 或 CSV 表格", "approver-needed": "超过 10 分钟须填写批准人，最长 {most_minutes} 分钟", invalid: "「{field}」的值不对：{why}", "too-many": "尝试过多，请 {seconds} 秒后再试", device: "设备没有照做：{why}", camera: "{detail}", unproposable: "推断不出协议", "no-draft": "还没有推断：请先按键", "profile-exists": "已有名为 {name} 的协议，请换个名称", "no-streams": "还不知道这台摄像机的码流：请先输入密码读取，或手工填写", "hall-offline": "大厅主机未连接到中心，请到现场用大厅页面配对", "hall-slow": "大厅主机没有及时应答，请重试",
    pass: { form: "这不是通行证，请完整粘贴", signature: "通行证签名不对：不是本中心签发的", other_hall: "这是其他大厅的通行证", not_yet: "通行证尚未生效，请核对大厅主机的时间", expired: "通行证已过期，请重新签发", revoked: "通行证已被吊销" },
  },
};
