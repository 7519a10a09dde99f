//! What is plugged in: serial lines and keyboards with what the system knows of each, and the name that stays.
//!
//! Reads sysfs, `/dev` and `/proc`; opens nothing, since opening moves DTR and RTS and resets some boards. Works without
//! udev's database, as in a container. Pseudo terminals are not listed: their paths are given by hand.

use std::{
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Longest text of a device that is kept; what it says of itself is not ours to trust.
const LONGEST_TEXT: usize = 128;
/// Levels of sysfs between a port and its USB device.
const LEVELS: usize = 8;

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortKind {
    /// Bytes both ways.
    Serial,
    /// A keyboard's event device.
    Keyboard,
}

/// What a USB device says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UsbIdentity {
    /// Vendor number.
    pub vendor: u16,
    /// Product number.
    pub product: u16,
    /// Serial number. Many cheap adapters have none, and some makers give all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

impl UsbIdentity {
    /// The chip in a serial adapter, if it is a known one (docs/reference/devices.md E).
    pub fn adapter(&self) -> Option<&'static str> {
        Some(match (self.vendor, self.product) {
            (0x1a86, 0x7522 | 0x7523 | 0x5523 | 0xe523) | (0x4348, 0x5523) => "CH340",
            (0x1a86, 0x55d3 | 0x55d4) => "CH343",
            (0x10c4, 0xea60 | 0xea70 | 0xea71) => "CP210x",
            (0x0403, 0x6001 | 0x6010 | 0x6011 | 0x6014 | 0x6015) => "FTDI",
            (0x067b, 0x2303 | 0x2304 | 0x23a3 | 0x23b3 | 0x23c3 | 0x23d3 | 0x23e3 | 0x23f3) => "PL2303",
            _ => return None,
        })
    }
}

impl std::fmt::Display for UsbIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)?;
        match &self.serial {
            Some(serial) => write!(f, " serial number {serial}"),
            None => f.write_str(" without serial number"),
        }
    }
}

/// How far a name can be trusted to stay with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stability {
    /// It follows the device from socket to socket.
    Device,
    /// It stays with the socket: moving the plug moves the name.
    Socket,
    /// It may be another device's after the next start.
    None,
}

/// A port that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPort {
    /// What it is for.
    pub kind: PortKind,
    /// Its device file.
    pub node: PathBuf,
    /// The path to configure.
    pub stable: PathBuf,
    /// How far `stable` can be trusted.
    pub stability: Stability,
    /// Its name by what the device says of itself, if it has one.
    pub by_id: Option<PathBuf>,
    /// Its name by the socket, if it has one.
    pub by_path: Option<PathBuf>,
    /// Its USB numbers, if it is a USB device.
    pub usb: Option<UsbIdentity>,
    /// Its interface on a USB device that has several.
    pub interface: Option<u8>,
    /// Who made it, as it says.
    pub maker: Option<String>,
    /// What it is, as it says.
    pub product: Option<String>,
    /// The program that has it open, if one has and this program may know.
    pub in_use_by: Option<String>,
}

/// Where the system tells of its devices; other places in tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// sysfs.
    pub sys: PathBuf,
    /// Device files.
    pub dev: PathBuf,
    /// Processes.
    pub proc: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self { sys: "/sys".into(), dev: "/dev".into(), proc: "/proc".into() }
    }
}

/// Every serial line and keyboard, in the order of their device files.
///
/// # Errors
/// When the system cannot be asked at all; a single device that is leaving is left out.
pub async fn list(places: Places) -> io::Result<Vec<FoundPort>> {
    tokio::task::spawn_blocking(move || list_blocking(&places)).await.map_err(io::Error::other)
}

fn list_blocking(places: &Places) -> Vec<FoundPort> {
    let mut found: Vec<FoundPort> = entries(&places.sys.join("class/tty"))
        .iter()
        .filter_map(|entry| serial(places, entry))
        .chain(entries(&places.sys.join("class/input")).iter().filter_map(|entry| keyboard(places, entry)))
        .collect();
    for at in 0..found.len() {
        let twins = found.iter().filter(|other| {
            let this = &found[at];
            this.usb.is_some()
                && other.usb == this.usb
                && other.kind == this.kind
                && other.interface == this.interface
        });
        let alone = twins.count() == 1;
        let port = &mut found[at];
        (port.stable, port.stability) = stable_name(port, alone);
    }
    let holders = holders(&places.proc, &found);
    for (port, holder) in found.iter_mut().zip(holders) {
        port.in_use_by = holder;
    }
    found.sort_by(|a, b| (a.kind, &a.node).cmp(&(b.kind, &b.node)));
    found
}

/// By-id only for a device with a serial number that no other has: two adapters without one share a by-id name, and it
/// points to either.
fn stable_name(port: &FoundPort, alone: bool) -> (PathBuf, Stability) {
    let numbered = port.usb.as_ref().is_some_and(|usb| usb.serial.is_some());
    match (&port.by_id, &port.by_path) {
        (Some(id), _) if numbered && alone => (id.clone(), Stability::Device),
        (_, Some(path)) => (path.clone(), Stability::Socket),
        // Soldered on: its number does not change.
        (_, None) if port.usb.is_none() && port.kind == PortKind::Serial => {
            (port.node.clone(), Stability::Socket)
        }
        (_, None) => (port.node.clone(), Stability::None),
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> =
        std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn text(path: &Path) -> Option<String> {
    let text = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text);
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect();
    (!text.is_empty()).then_some(text)
}

fn hex<T: TryFrom<u32>>(path: &Path) -> Option<T> {
    T::try_from(u32::from_str_radix(text(path)?.trim_start_matches("0x"), 16).ok()?).ok()
}

/// What is known of the USB device above a device's sysfs folder.
#[derive(Default)]
struct Usb {
    identity: Option<UsbIdentity>,
    interface: Option<u8>,
    maker: Option<String>,
    product: Option<String>,
}

impl Usb {
    fn above(device: &Path) -> Self {
        let mut usb = Self::default();
        let Ok(device) = device.canonicalize() else { return usb };
        for folder in device.ancestors().take(LEVELS) {
            usb.interface = usb.interface.or_else(|| hex(&folder.join("bInterfaceNumber")));
            if let (Some(vendor), Some(product)) =
                (hex(&folder.join("idVendor")), hex(&folder.join("idProduct")))
            {
                let serial = text(&folder.join("serial"));
                usb.identity = Some(UsbIdentity { vendor, product, serial });
                usb.maker = text(&folder.join("manufacturer"));
                usb.product = text(&folder.join("product"));
                return usb;
            }
        }
        Self::default()
    }
}

/// What is behind a device file that is open, by its device number: the USB identity, if it is a USB device.
pub(super) fn identity_of(sys: &Path, device: u64) -> Option<UsbIdentity> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    Usb::above(&sys.join(format!("dev/char/{major}:{minor}/device"))).identity
}

fn serial(places: &Places, entry: &Path) -> Option<FoundPort> {
    let device = entry.join("device");
    if !device.exists() {
        // A virtual terminal.
        return None;
    }
    // The kernel makes ttyS0 to ttyS31 whether or not there is a chip; type 0 is "no chip".
    if text(&entry.join("type")).as_deref() == Some("0") {
        return None;
    }
    let node = places.dev.join(entry.file_name()?);
    std::fs::symlink_metadata(&node).ok()?;
    Some(port(PortKind::Serial, node, Usb::above(&device), &places.dev.join("serial"), None))
}

fn keyboard(places: &Places, entry: &Path) -> Option<FoundPort> {
    let name = entry.file_name()?;
    if !name.to_str()?.starts_with("event") {
        return None;
    }
    let device = entry.join("device");
    if !has_digits(&text_long(&device.join("capabilities/key"))?) {
        return None;
    }
    let node = places.dev.join("input").join(name);
    std::fs::symlink_metadata(&node).ok()?;
    let mut usb = Usb::above(&device);
    usb.product = text(&device.join("name")).or(usb.product);
    Some(port(PortKind::Keyboard, node, usb, &places.dev.join("input"), Some("-kbd")))
}

fn text_long(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().filter(|text| text.len() < 4096)
}

/// Whether a keyboard has the keys 1 to 5, of either block: groups of 64 bits, the lowest last.
fn has_digits(capabilities: &str) -> bool {
    let groups: Vec<u64> = capabilities
        .split_whitespace()
        .rev()
        .map_while(|group| u64::from_str_radix(group, 16).ok())
        .collect();
    let has = |code: usize| groups.get(code / 64).is_some_and(|group| group >> (code % 64) & 1 == 1);
    [2, 3, 4, 5, 6].into_iter().all(has) || [79, 80, 81, 75, 76].into_iter().all(has)
}

fn port(kind: PortKind, node: PathBuf, usb: Usb, links: &Path, ending: Option<&str>) -> FoundPort {
    let link = |folder: &str| {
        entries(&links.join(folder)).into_iter().find(|link| {
            ending.is_none_or(|ending| link.to_string_lossy().ends_with(ending)) && leads_to(link, &node)
        })
    };
    FoundPort {
        kind,
        stable: node.clone(),
        stability: Stability::None,
        by_id: link("by-id"),
        by_path: link("by-path"),
        usb: usb.identity,
        interface: usb.interface,
        maker: usb.maker,
        product: usb.product,
        in_use_by: None,
        node,
    }
}

fn leads_to(link: &Path, node: &Path) -> bool {
    matches!((link.canonicalize(), node.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// For each port the name of a program that has it open.
fn holders(proc: &Path, ports: &[FoundPort]) -> Vec<Option<String>> {
    let mut holders = vec![None; ports.len()];
    for process in entries(proc) {
        let number = process.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if ports.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        for descriptor in entries(&process.join("fd")) {
            let Ok(target) = std::fs::read_link(&descriptor) else { continue };
            if let Some(at) = ports.iter().position(|port| port.node == target) {
                holders[at] = text(&process.join("comm")).or_else(|| Some(format!("process {number}")));
            }
        }
    }
    holders
}

/// The device number of a path's device.
pub(super) fn device_number(path: &Path) -> io::Result<Option<u64>> {
    let found = std::fs::metadata(path)?;
    Ok(found.file_type().is_char_device().then(|| found.rdev()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    struct Machine {
        root: tempfile::TempDir,
    }

    impl Machine {
        fn new() -> Self {
            Self { root: tempfile::tempdir().unwrap() }
        }

        fn places(&self) -> Places {
            let at = |name: &str| self.root.path().join(name);
            Places { sys: at("sys"), dev: at("dev"), proc: at("proc") }
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn link(&self, path: &str, target: &str) {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        }

        /// A USB adapter as Linux shows one, with udev's names.
        fn adapter(&self, tty: &str, socket: &str, numbers: (&str, &str), serial: Option<&str>) {
            let device = format!("sys/devices/pci0/usb1/{socket}");
            self.write(&format!("{device}/idVendor"), &format!("{}\n", numbers.0));
            self.write(&format!("{device}/idProduct"), &format!("{}\n", numbers.1));
            self.write(&format!("{device}/product"), "USB Serial\n");
            if let Some(serial) = serial {
                self.write(&format!("{device}/serial"), &format!("{serial}\n"));
            }
            self.write(&format!("{device}/{socket}:1.0/bInterfaceNumber"), "00\n");
            self.write(&format!("{device}/{socket}:1.0/{tty}/tty/{tty}/dev"), "188:0\n");
            self.link(&format!("{device}/{socket}:1.0/{tty}/tty/{tty}/device"), "../..");
            self.link(
                &format!("sys/class/tty/{tty}"),
                &format!("../../devices/pci0/usb1/{socket}/{socket}:1.0/{tty}/tty/{tty}"),
            );
            self.write(&format!("dev/{tty}"), "");
            self.link(&format!("dev/serial/by-path/pci-0-usb-0:{socket}:1.0-port0"), &format!("../../{tty}"));
        }
    }

    /// devices.md E: two CH340 without serial numbers share a by-id name; their sockets tell them apart.
    #[test]
    fn the_stable_name_is_by_id_with_a_number_of_its_own_and_else_by_path() {
        let machine = Machine::new();
        machine.adapter("ttyUSB0", "1-1", ("1a86", "7523"), None);
        machine.adapter("ttyUSB1", "1-2", ("1a86", "7523"), None);
        machine.link("dev/serial/by-id/usb-1a86_USB_Serial-if00-port0", "../../ttyUSB1");
        machine.adapter("ttyUSB2", "1-3", ("0403", "6001"), Some("A9007"));
        machine.link("dev/serial/by-id/usb-FTDI_A9007-if00-port0", "../../ttyUSB2");
        machine.adapter("ttyUSB3", "1-4", ("10c4", "ea60"), Some("0001"));
        machine.link("dev/serial/by-id/usb-CP_0001-if00-port0", "../../ttyUSB4");
        machine.adapter("ttyUSB4", "1-5", ("10c4", "ea60"), Some("0001"));
        let found = list_blocking(&machine.places());
        let names: Vec<_> = found
            .iter()
            .map(|port| {
                let name = port.stable.file_name().unwrap().to_str().unwrap();
                (port.node.file_name().unwrap().to_str().unwrap(), name, port.stability)
            })
            .collect();
        assert_eq!(
            names,
            [
                ("ttyUSB0", "pci-0-usb-0:1-1:1.0-port0", Stability::Socket),
                ("ttyUSB1", "pci-0-usb-0:1-2:1.0-port0", Stability::Socket),
                ("ttyUSB2", "usb-FTDI_A9007-if00-port0", Stability::Device),
                ("ttyUSB3", "pci-0-usb-0:1-4:1.0-port0", Stability::Socket),
                ("ttyUSB4", "pci-0-usb-0:1-5:1.0-port0", Stability::Socket),
            ]
        );
        let ftdi = &found[2];
        let identity = UsbIdentity { vendor: 0x0403, product: 0x6001, serial: Some("A9007".into()) };
        assert_eq!(ftdi.usb.as_ref(), Some(&identity));
        assert_eq!((identity.adapter(), ftdi.interface), (Some("FTDI"), Some(0)));
        assert_eq!(ftdi.product.as_deref(), Some("USB Serial"));
        assert_eq!(ftdi.in_use_by, None);
    }

    #[test]
    fn boards_own_lines_are_told_from_those_without_a_chip_and_holders_are_named() {
        let machine = Machine::new();
        for (tty, kind) in [("ttyS0", "4"), ("ttyS1", "0")] {
            machine.write(&format!("sys/devices/pnp0/{tty}/type"), kind);
            machine.write(&format!("sys/devices/pnp0/{tty}/device/driver"), "");
            machine.link(&format!("sys/class/tty/{tty}"), &format!("../../devices/pnp0/{tty}"));
            machine.write(&format!("dev/{tty}"), "");
        }
        machine.write("sys/class/tty/tty0/dev", "4:0");
        machine.write("proc/321/comm", "minicom\n");
        machine.link("proc/321/fd/3", machine.places().dev.join("ttyS0").to_str().unwrap());
        machine.write("proc/meminfo", "");
        let found = list_blocking(&machine.places());
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].stability, &found[0].stable),
            (Stability::Socket, &machine.places().dev.join("ttyS0"))
        );
        assert_eq!(found[0].in_use_by.as_deref(), Some("minicom"));
    }

    #[test]
    fn keyboards_with_digits_are_listed_and_power_buttons_are_not() {
        let machine = Machine::new();
        let keys = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe";
        for (event, keys) in [("event0", "10000000000000 0"), ("event3", keys)] {
            machine.write(&format!("sys/devices/usb9/{event}/device/capabilities/key"), keys);
            machine.write(&format!("sys/devices/usb9/{event}/device/name"), "Five Buttons\n");
            machine.link(&format!("sys/class/input/{event}"), &format!("../../devices/usb9/{event}"));
            machine.write(&format!("dev/input/{event}"), "");
        }
        machine.write("sys/class/input/mouse0/dev", "");
        machine.link("dev/input/by-path/pci-0-event-kbd", "../event3");
        machine.link("dev/input/by-path/pci-0-event-mouse", "../event3");
        let found = list_blocking(&machine.places());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].product.as_deref()), (PortKind::Keyboard, Some("Five Buttons")));
        assert!(found[0].stable.ends_with("pci-0-event-kbd"));
    }

    #[tokio::test]
    async fn this_machine_and_one_with_nothing() {
        list(Places::default()).await.unwrap();
        let machine = Machine::new();
        assert_eq!(list(machine.places()).await.unwrap(), []);
    }
}
