// 管理页面的用语。

export default {
  title: "管理", updated: "更新于 {time}", refresh: "刷新", more: "显示更多", none: "没有符合条件的记录", loading: "正在读取…", save: "保存", cancel: "取消", edit: "修改", remove: "删除", add: "新增", all: "全部", copy: "复制", copied: "已复制", close: "关闭", clear: "清除条件",
  tabs: { tree: "组织机构", users: "人员与权限", sessions: "登录会话", nodes: "节点与证书", retention: "录像留存", authority: "证书机构", audit: "审计日志" },
  tree: {
    zone: "时区", bad_zone: "请填写时区名称，例如 Asia/Shanghai", zone_hint: "保存后考勤立即按新时区计算，统计随后重算；大厅设备的时区设置应与此一致。", title: "区域、大厅与窗口", kind: "类型", name: "名称", code: "编号", inside: "下辖", halls_n: "{n} 个大厅", windows_n: "{n} 个窗口", level: "层级", levels: { region: "自治区", city: "市", county: "县（区）" },
    add_area: "新增区域", add_hall: "新增大厅", add_window: "新增窗口", edit_area: "修改区域", edit_hall: "修改大厅", edit_window: "修改窗口", area: "区域", hall: "大厅", window: "窗口",
    parent: "上级区域", area_code: "区划代码（六位，GB/T 2260）", hall_code: "大厅编号（如 450103-01）", number: "窗口号", businesses: "办理业务", every: "全部业务", business_hint: "输入后回车；不填则办理本厅全部业务",
    pick: "选择一个大厅以查看和修改其窗口", no_windows: "本厅还没有窗口", staff: "人员名录", remove_area: "删除区域 {name}？区域下不能有其他区域、大厅或人员。", remove_hall: "删除大厅 {name}？有节点、记录或人员的大厅不能删除。", remove_window: "删除窗口 {name}？",
    bad_area: "区划代码是六位数字", bad_hall: "大厅编号是六位区划代码、连字符和两位数字", bad_number: "窗口号是 1 到 999",
  },
  users: {
    title: "人员与权限", name: "用户名", roles: "角色与范围", state: "状态", active: "可登录", disabled: "已停用", must_change: "待改密码", second: "双因素", on: "已启用", off: "未启用", signed_in: "最近登录", never: "从未登录", created: "创建时间", search: "按用户名查找", any_role: "全部角色", any_state: "全部状态",
    add: "新增人员", edit: "修改权限", grant: "角色", scope: "范围", add_grant: "再加一个角色", disable: "停用", enable: "恢复", reset: "重置密码", reset_second: "解除双因素", remove: "删除",
    one_time: "一次性密码", one_time_hint: "只显示这一次，请当面交给 {name}；首次登录必须修改。",
    disable_text: "停用后 {name} 立即退出登录，不能再登录。", enable_text: "{name} 将可以重新登录。", reset_text: "为 {name} 生成新的一次性密码，其所有登录会话立即结束。", reset_second_text: "{name} 将可以只用密码登录，直到再次启用双因素。请先当面核实身份。", remove_text: "删除 {name}？其预案一并删除；审计日志中的记录保留。",
    bad_name: "用户名为 1 至 64 个字符，首尾不能有空格", need_grant: "至少选择一个角色和范围",
  },
  sessions: {
    find: "按用户、地址或浏览器查找", title: "登录会话", user: "用户", address: "来源地址", agent: "浏览器", opened: "登录时间", seen: "最近活动", current: "当前会话", end: "结束会话", end_text: "{user} 在 {address} 的会话将立即结束，打开的视频墙在数秒内关闭。", own: "我的登录会话", empty: "没有其他会话",
  },
  second: {
    policy: "必须启用双因素的角色", policy_hint: "开启后，该角色人员在设置好身份验证器之前不能进行任何其他操作，立即生效；默认均不强制。", required: "必须启用", free: "自愿启用", count: "{people} 人，其中 {without} 人未启用", required_text: "{role}的 {without} 名未启用人员下次操作前必须先设置双因素验证，打开的视频墙将关闭。", free_text: "{role}将可以只用密码登录；已启用的人员不受影响，可自行停用。",
    must: "您的角色必须启用双因素验证。请先完成下面的设置，之后才能使用其他功能。", kept: "已启用。您的角色必须使用双因素验证，不能自行停用；更换手机请联系管理员解除后重新设置。",
    title: "双因素验证", on: "已启用：登录时需要身份验证器显示的动态码。", off: "未启用。启用后，登录时除密码外还需输入手机身份验证器显示的六位动态码。", begin: "启用", scan: "用身份验证器（如 FreeOTP）扫描二维码，或手工输入密钥：", code: "动态码", confirm: "确认启用", remove: "停用双因素", password: "当前密码", done: "双因素验证已启用，其他登录已退出", removed: "双因素验证已停用", wanted: "请输入身份验证器显示的六位动态码", wrong: "动态码错误或已使用，请输入下一个",
  },
  audit: {
    title: "审计日志", n: "序号", at: "时间", who: "人员", action: "操作", object: "对象", address: "来源地址", detail: "详情", from: "起", to: "止", any_action: "全部操作", export: "导出 CSV",
    signed: "共 {rows} 条，前 {signed} 条已签名（{at}）", unsigned: "共 {rows} 条，尚未签名", key: "签名公钥 {key}", verify: "在中心服务器上运行 control-center audit verify 可核对整条链。",
    actions: {
      session_opened: "登录", session_closed: "退出登录", session_refused: "登录被拒", session_ended: "结束他人会话", password_changed: "修改密码", password_set: "命令行设置密码", user_added: "新增人员", user_changed: "修改人员", user_removed: "删除人员", second_factor_on: "启用双因素", second_factor_off: "停用双因素", second_factor_demanded: "设定必须双因素的角色",
      area_added: "新增区域", area_changed: "修改区域", area_removed: "删除区域", hall_added: "新增大厅", hall_changed: "修改大厅", hall_removed: "删除大厅", window_added: "新增窗口", window_changed: "修改窗口", window_removed: "删除窗口", pairing_code_issued: "生成配对码", node_revoked: "吊销节点证书", node_ordered: "向节点下达指令", node_quarantine_lifted: "解除节点隔离", authority_change_begun: "开始更换证书机构", authority_node_renewed: "节点已换新证书", authority_retired: "停用旧证书机构", centre_backed_up: "备份中心", centre_restored: "从备份恢复中心",
      live_watch: "观看实时画面", audit_exported: "导出审计日志", personal_shown: "查看完整个人信息", evidence_exported: "导出证据包", pairing_asked: "现场配对操作", users_exported: "导出用户", sessions_exported: "导出会话", nodes_exported: "导出节点", staff_exported: "导出人员名册", cases_exported: "导出办件", ratings_exported: "导出评价",
      camera_moved: "转动摄像机", live_still: "查看实时截图", picture_still: "查看异常截图", recording_held: "保留录像", recording_released: "解除录像保留", site_pass_issued: "签发现场通行码", site_pass_revoked: "吊销现场通行码", tree_imported: "导入组织机构", wall_preset_added: "新增预案", wall_preset_changed: "修改预案", wall_preset_removed: "删除预案", replay_clip: "回放录像", replay_timeline: "查看办件时间线", staff_changed: "修改人员名录", staff_removed: "删除人员名录", recording_rule_set: "设定录像留存天数",
    },
  },
  authority: {
    title: "证书机构", hint: "中心自建的证书机构为各大厅节点和中心的两个端口签发证书。更换时新旧并存：节点经已有的安全连接得知新机构，自动换取新证书，无需重新配对；全部换完后再停用旧机构。人员的浏览器需提前信任新机构的证书。",
    signer: "当前签发机构", former: "旧机构（更换中）", pin: "公钥指纹", since: "启用时间", download: "下载证书（供浏览器信任）", change: "更换证书机构", retire: "停用旧机构",
    steady: "没有更换在进行；{all} 个节点均持有本机构证书", renewing: "更换中：{renewed} 个节点已换新证书，{left} 个仍持旧证书", renewed: "全部 {all} 个节点已换新证书，可以停用旧机构",
    hall: "大厅", node: "节点", holds: "持有证书", of_signer: "新证书", of_former: "旧证书", seen: "最近联系", expires: "证书到期", none: "还没有配对的节点", comma: "、",
    change_text: "将生成新的证书机构。各节点自动换取新证书，期间新旧证书都有效，业务不中断。开始后请立即备份一次中心，并把新证书分发给人员的电脑。", retire_text: "所有节点已换新证书。停用后旧证书一律拒绝，旧机构的私钥从本机删除；浏览器端口改用新机构的证书。此操作不能撤回。", leave_text: "还有 {n} 个节点持有旧证书：{names}。现在停用，这些节点将立即断开，必须逐一重新配对。此操作不能撤回。",
  },
  retention: {
    title: "录像留存", hint: "录像存放在各大厅；这里是它们此刻的情况。留存天数默认按大厅配置文件，管理员可为单个大厅另行设定，离线大厅恢复连接后执行。被保留的录像不受影响。",
    rule: "设定", of_file: "按大厅配置文件", rule_waiting: "{days}，等待大厅执行", rule_done: "{days}，已执行", rule_refused: "{days}，大厅未接受：{why}", rule_expired: "{days}，大厅三十天未上线，未执行", edit: "设定录像留存天数", edit_hint: "{hall}。法规要求不少于 {least} 天。", keep_days: "留存天数", empty_hint: "留空则按大厅配置文件", bad_days: "请输入 {least} 至 {most} 之间的整数", shorter: "比现在少 {n} 天：超过新期限且未被保留的录像将被删除，无法恢复。", hall: "大厅", keep: "要求留存", holds: "按现有磁盘可留存", free: "剩余空间", state: "状态", days: "{n} 天", good: "满足", short: "不足", stopped: "录像已停止：{why}", offline: "大厅离线", none: "没有录像设备", asking: "正在询问…", gb: "{n} GB",
  },
};
