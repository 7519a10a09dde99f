//! What carries a device's bytes. Plain data, and the port that it stands for.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use device_drivers::port::{
    HidConfig, HidPort, ListenConfig, ListenPort, Network, Port, SerialConfig, SerialPort, TcpConfig, TcpPort,
};
use serde::{Deserialize, Serialize};

/// What carries a device's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "via", rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// A serial line.
    Serial {
        /// The device file.
        port: PathBuf,
        /// Bits per second.
        baud: u32,
    },
    /// A TCP connection that we dial.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// A TCP connection that the device dials.
    TcpListen {
        /// Where it dials to.
        listen: SocketAddr,
        /// Who may dial in.
        allow: Vec<Network>,
    },
    /// A keyboard.
    Keyboard {
        /// Its event device.
        port: PathBuf,
    },
}

impl Line {
    /// The port, not yet open.
    pub fn port(&self) -> Box<dyn Port> {
        match self {
            Self::Serial { port, baud } => Box::new(SerialPort::new(SerialConfig::new(port, *baud))),
            Self::Tcp { address } => Box::new(TcpPort::new(TcpConfig { address: address.clone() })),
            Self::TcpListen { listen, allow } => {
                Box::new(ListenPort::new(ListenConfig { listen: *listen, allow: allow.clone() }))
            }
            Self::Keyboard { port } => Box::new(HidPort::new(HidConfig { path: port.clone() })),
        }
    }

    /// The device file, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Serial { port, .. } | Self::Keyboard { port } => Some(port),
            Self::Tcp { .. } | Self::TcpListen { .. } => None,
        }
    }

    /// Whether both are the same port, at whatever speed: only one driver can have it.
    pub fn is_port_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp { address: a }, Self::Tcp { address: b }) => a == b,
            (Self::TcpListen { listen: a, .. }, Self::TcpListen { listen: b, .. }) => a == b && a.port() != 0,
            _ => self.path().is_some() && self.path() == other.path(),
        }
    }

    /// What is wrong with the values, as the field and why.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        if let Some(path) = self.path()
            && (!path.is_absolute() || path.as_os_str().len() > 255)
        {
            return Some(("port", "a device file such as /dev/serial/by-id/…".into()));
        }
        match self {
            Self::Serial { baud, .. } if !(300..=921_600).contains(baud) => {
                Some(("baud", "from 300 to 921600".into()))
            }
            Self::Tcp { address } => {
                let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty() && host.len() <= 253);
                let sound = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
                (!sound).then(|| ("address", "a host and a port, such as 10.0.0.7:4001".into()))
            }
            Self::TcpListen { allow, .. } if allow.is_empty() => {
                Some(("allow", "the addresses that may dial in, such as 10.0.0.7 or 10.0.0.0/24".into()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Line {
    /// As identities of devices have it: a device file by its last name, which is the stable one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = |port: &Path| {
            port.file_name().map_or_else(|| port.display().to_string(), |n| n.to_string_lossy().into_owned())
        };
        match self {
            Self::Serial { port, .. } => write!(f, "serial:{}", file(port)),
            Self::Tcp { address } => write!(f, "tcp:{address}"),
            Self::TcpListen { listen, .. } => write!(f, "listen:{listen}"),
            Self::Keyboard { port } => write!(f, "keyboard:{}", file(port)),
        }
    }
}
