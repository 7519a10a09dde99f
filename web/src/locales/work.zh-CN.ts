// 检修页的词语。

export default {
  title: "检修", nav: "检修", updated: "更新于 {time}", loading: "正在读取…", all_good: "各大厅设备正常", all_good_hint: "有新情况会自动出现在这里", none_here: "没有符合条件的项目",
  all: "全部", filter: "筛选", hall: "大厅", every_hall: "所有大厅", since: "已{age}", more: "显示更多",
  urgency: { 1: "整个大厅", 2: "不能用", 3: "不好用", 4: "待处理" },
  problem: {
    hall_offline: "大厅离线", quarantined: "节点被隔离", certificate: "证书即将到期", camera_down: "摄像机离线", camera_unplayable: "码流无法播放", device_down: "设备离线",
    device_silent: "设备无响应", device_degraded: "数据错误多", picture: "画面异常", clock: "时钟不准", unconfirmed: "评价器按键未确认",
  },
  why: {
    picture: "{fault}", clock_fast: "快 {n} 秒", clock_slow: "慢 {n} 秒", certificate: "{time} 到期，仍未续期", hall_offline: "中心收不到这个大厅的任何数据；其设备的状态未知",
  },
  role: { node: "大厅主机", camera: "摄像机", keypad: "叫号键盘", evaluator: "评价器", ticket: "取号打印机", attendance: "考勤机", display: "窗口屏", voice: "语音", module: "指纹模块", modem: "短信模块", device: "设备" },
  bring: {
    title: "带什么", hint: "按现有问题汇总", like: "同型号：{hardware}", count: "× {n}",
    kind: {
      camera: "摄像机", keypad: "叫号键盘", evaluator: "评价器", ticket: "取号打印机", attendance: "考勤机", display: "窗口屏", voice: "语音喇叭", module: "指纹模块", modem: "短信模块", device: "备用设备",
      cable: "线缆与接头", power_supply: "电源适配器", lens_cloth: "镜头布", machine: "备用主机", password: "摄像机密码",
    },
  },
  halls: { title: "各大厅", devices: "{n} 台设备", faulty: "{n} 项异常", ok: "正常", unknown: "离线，状态未知", pair: "配对", records: "到访记录", passes: "现场通行证", address: "大厅离线时，请到现场用大厅页面配对" },
};
