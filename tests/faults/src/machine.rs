//! A virtual machine (QEMU) with the agent in it: its serial ports are the hall's buses, its disk has a cache that is written
//! when the guest asks for it, and its end is a power cut: nothing is synced, nobody is told.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use region::{
    process::{Process, binary, run},
    start::write_edge_config,
};
use serde_json::json;

use crate::stage::Stage;

/// The host as the guest sees it (QEMU's user network).
const HOST: &str = "10.0.2.2";

/// The machine's images.
pub(crate) struct Machine {
    folder: PathBuf,
    kernel: PathBuf,
    buses: usize,
}

/// Where `scripts/faults` puts the guest's kernel.
pub(crate) fn kernel_folder() -> PathBuf {
    std::env::var_os("HALLWATCH_GUEST_KERNEL").map_or_else(|| "target/faults/kernel".into(), PathBuf::from)
}

impl Machine {
    /// Makes the images from a stage that is paired and whose agent does not run; `size` is that of its disk, as mke2fs
    /// takes it.
    pub(crate) async fn make(stage: &Stage, buses: usize, size: &str) -> Result<Self> {
        let kernel = kernel_folder();
        if !kernel.join("vmlinuz").is_file() {
            bail!("there is no kernel for the guest in {}: use scripts/faults", kernel.display());
        }
        let folder = stage.folder().to_owned();
        let file: toml::Table = std::fs::read_to_string(stage.config())?.parse()?;
        let mut file = serde_json::to_value(file)?;
        file["hall"]["data"] = json!("/data/edge");
        file["centre"]["url"] = json!(format!("https://{HOST}:{}", stage.proxy.address().port()));
        for bus in 0..buses {
            // The first port is the console's.
            file["bus"][bus]["path"] = json!(format!("/dev/ttyS{}", bus + 1));
        }
        for camera in file["camera"].as_array_mut().into_iter().flatten() {
            for url in ["url", "sub_url"] {
                if let Some(here) = camera[url].as_str() {
                    camera[url] = json!(here.replace("127.0.0.1", HOST));
                }
            }
        }
        let config = folder.join("machine.toml");
        write_edge_config(&config, &file)?;
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is not UTF-8");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("machine/make");
        let (agent, kernel_text) = (text(&binary("edge-agent")?)?, text(&kernel)?);
        let (config, data, out) = (text(&config)?, text(&stage.data())?, text(&folder)?);
        run(&script, &[&agent, &kernel_text, &config, &data, &out, size], "")
            .await
            .context("the machine's images")?;
        Ok(Self { folder, kernel, buses })
    }

    /// The sockets behind the guest's serial ports.
    pub(crate) fn lines(&self) -> Vec<PathBuf> {
        (0..self.buses).map(|bus| self.folder.join(format!("line-{bus}"))).collect()
    }

    /// Switches it on.
    pub(crate) fn start(&self) -> Result<Process> {
        let at = |name: &str| self.folder.join(name).display().to_string();
        // Where hardware helps it can be said so; it is not to be had everywhere.
        let accelerator = std::env::var("HALLWATCH_GUEST_ACCEL").unwrap_or_else(|_| "tcg".into());
        let mut arguments: Vec<String> = [
            "-M pc -cpu max -smp 1 -m 768 -nodefaults -no-reboot -display none -accel",
            accelerator.as_str(),
        ]
        .iter()
        .flat_map(|part| part.split(' '))
        .map(str::to_owned)
        .collect();
        arguments.extend(["-kernel".into(), self.kernel.join("vmlinuz").display().to_string()]);
        arguments.extend(["-initrd".into(), at("first.img")]);
        arguments.extend(["-append".into(), "console=ttyS0 quiet panic=-1 nokaslr mitigations=off".into()]);
        arguments.extend(["-serial".into(), format!("file:{}", at("console.log"))]);
        for line in self.lines() {
            arguments.extend(["-serial".into(), format!("unix:{},server=on,wait=off", line.display())]);
        }
        arguments
            .extend(["-drive".into(), format!("file={},if=virtio,readonly=on,format=raw", at("root.img"))]);
        arguments.extend([
            "-drive".into(),
            format!("file={},if=virtio,format=raw,cache=writeback", at("data.img")),
        ]);
        arguments.extend(["-netdev".into(), "user,id=net".into()]);
        arguments.extend(["-device".into(), "virtio-net-pci,netdev=net".into()]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let log = self.folder.join("machine.log");
        Process::start("virtual machine", Path::new("/usr/bin/qemu-system-x86_64"), &arguments, &[], &log)
    }

    /// Copies the agent's data folder off the disk of the machine, which is off, to `to`, as the next start would find it: with
    /// the file system's own journal played.
    pub(crate) async fn read_disk(&self, to: &Path) -> Result<()> {
        let image = self.folder.join("data.img").display().to_string();
        // Exit code 1 says that it mended what a cut leaves behind.
        let script = r#"e2fsck -fy "$0" >/dev/null 2>&1 || [ $? -eq 1 ] && debugfs -R "rdump /edge $1" "$0""#;
        let to = to.to_str().context("a path that is not UTF-8")?;
        run(Path::new("/bin/bash"), &["-c", script, &image, to], "").await.context("the machine's disk")?;
        Ok(())
    }

    /// The end of what its console said.
    pub(crate) fn console(&self) -> String {
        let text = std::fs::read(self.folder.join("console.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
