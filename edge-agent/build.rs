//! Says which folder of pages is embedded: `web/dist-hall` when it has been built, else one page that says how to build it.
//! Never runs npm. `HALL_PAGES_STAMP` changes with the files' names and sizes, so that the embedding is made anew.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

const PLACEHOLDER: &str = "<!doctype html><html lang=\"zh-CN\"><meta charset=\"utf-8\"><title>厅窗 Hallwatch</title>\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
<h1>厅窗 Hallwatch</h1><p>边缘节点已运行，但页面尚未构建：请在源码目录执行 <code>scripts/build-web</code>，然后重新编译。</p>\
<p>The hall's agent runs; its pages were not built into it. In the source tree run <code>scripts/build-web</code>, then build \
the agent again.</p></html>";

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".into()));
    let built = root.join("../web/dist-hall");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", built.display());
    let folder = if built.join("hall.html").exists() {
        built.canonicalize().unwrap_or(built)
    } else {
        println!(
            "cargo::warning=web/dist-hall is not built: the hall's agent will serve a page that says so"
        );
        let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_else(|_| ".".into())).join("placeholder");
        if let Err(error) =
            fs::create_dir_all(&out).and_then(|()| fs::write(out.join("hall.html"), PLACEHOLDER))
        {
            println!("cargo::error=the placeholder page cannot be written: {error}");
        }
        out
    };
    let mut stamp = DefaultHasher::new();
    walk(&folder, &mut stamp);
    println!("cargo::rustc-env=HALL_PAGES={}", folder.display());
    println!("cargo::rustc-env=HALL_PAGES_STAMP={:x}", stamp.finish());
}

fn walk(folder: &Path, stamp: &mut DefaultHasher) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        path.hash(stamp);
        if path.is_dir() {
            walk(&path, stamp);
        } else if let Ok(about) = path.metadata() {
            about.len().hash(stamp);
        }
    }
}
