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
  ptz: {
    title: "云台", open: "云台", close: "收起云台", up: "上", down: "下", left: "左", right: "右", in: "拉近", out: "拉远", speed: "速度", slow: "慢", middle: "中", fast: "快",
    presets: "预置位", none: "摄像机没有预置位", asking: "正在询问摄像机…", went: "正在转到“{name}”", hint: "按住转动，松开停止；键盘按住空格键或回车键", not_movable: "此摄像机不能转动",
  },
};
