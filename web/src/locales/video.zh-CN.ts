// 墙与回放中的词语：座位、画面异常、云台、留存画面。

export default {
  seat: {
    title: "座位", occupied: "有人", empty: "无人", unknown: "未知", for: "已{span}", at_window: "座位{seat}",
    why: {
      starting: "刚开始观察", no_picture: "没有画面", dark: "光线太暗", not_learnt: "尚未学习空座画面", other_light: "光线变化，待重新学习", left_behind: "座位上可能有遗留物品", unsure: "无法判断",
      black: "画面全黑", frozen: "画面静止", blocked: "镜头被遮挡", out_of_focus: "画面模糊", moved: "镜头被移动", hall_offline: "大厅离线",
    },
  },
  fault: { title: "画面异常", black: "画面全黑", frozen: "画面静止", blocked: "镜头遮挡", out_of_focus: "画面模糊", moved: "镜头移位" },
  copy: { marked: "带水印副本", hint: "重新编码，画面上写有您的名字和时间，无声音；原件不变。制作需要一些时间，会留痕。" },
  kept: {
    away_since: "大厅自 {time} 起离线", away_never: "大厅离线", away_for: "已 {age}", here: "中心存有 {clips} 段录像、{stills} 张截图", from_centre: "中心留存", still: "截图：{what} {time}",
    absent: { in_hall: "大厅离线，这段录像只在大厅", dropped: "中心曾留存，已到期清除；大厅离线" },
    hint: "上传到中心后，大厅离线时也能查看。谁要求上传会留痕。", keep: "上传到中心", waiting: "正在上传…", none: "未上传", not_now: "大厅离线，现在不能上传", refused: "您的角色不能要求上传录像",
    state: { asked: "正在上传（{who}）", kept: "已留存于 {time}（{who}）", failed: "上传失败：{why}", dropped: "已清除：{why}" },
    why: { days: "超过保存天数", bytes: "空间已满，最早的先清除" },
  },
  ptz: {
    title: "云台", open: "云台", close: "收起云台", up: "上", down: "下", left: "左", right: "右", in: "拉近", out: "拉远", speed: "速度", slow: "慢", middle: "中", fast: "快",
    presets: "预置位", none: "摄像机没有预置位", asking: "正在询问摄像机…", went: "正在转到“{name}”", hint: "按住转动，松开停止；键盘按住空格键或回车键", not_movable: "此摄像机不能转动",
  },
};
