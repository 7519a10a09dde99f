//! A small PDF writer for the sheet: A4 pages of text, lines, boxes and JPEG pictures in embedded fonts, of which only the
//! characters used go into the file. Knows nothing of visits.

use std::collections::BTreeMap;

use pdf_writer::{
    Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr,
    types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap},
};
use subsetter::GlyphRemapper;
use ttf_parser::Face;

/// The page in points.
pub(super) const WIDTH: f32 = 595.0;
/// Its height.
pub(super) const HEIGHT: f32 = 842.0;
/// The fonts, in the order in which a character is looked for.
const FONTS: [(&[u8], &[u8]); 2] = [
    (b"HWSUBA+Roboto-Regular", include_bytes!("../../../assets/Roboto-Latin.ttf")),
    (b"HWSUBB+DroidSansFallback", include_bytes!("../../../assets/DroidSansFallback-GB2312.ttf")),
];

/// A colour.
pub(super) type Rgb = (f32, f32, f32);

/// A picture to be placed.
pub(super) struct Jpeg<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bytes: &'a [u8],
}

struct Font {
    name: &'static [u8],
    bytes: &'static [u8],
    face: Face<'static>,
    units: f32,
    glyphs: GlyphRemapper,
    /// Glyph in the subset → the character, and its width in thousandths.
    used: BTreeMap<u16, (char, f32)>,
}

/// A document being drawn.
pub(super) struct Drawing<'a> {
    fonts: Vec<Font>,
    pages: Vec<Content>,
    pictures: Vec<Jpeg<'a>>,
    on_page: Vec<Vec<usize>>,
}

impl<'a> Drawing<'a> {
    /// An empty document.
    ///
    /// # Errors
    /// The font cannot be read, which would be a fault of ours.
    pub(super) fn new() -> Result<Self, String> {
        let mut fonts = Vec::new();
        for (name, bytes) in FONTS {
            let face = Face::parse(bytes, 0).map_err(|e| e.to_string())?;
            let units = f32::from(face.units_per_em());
            fonts.push(Font {
                name,
                bytes,
                face,
                units,
                glyphs: GlyphRemapper::new(),
                used: BTreeMap::new(),
            });
        }
        Ok(Self { fonts, pages: Vec::new(), pictures: Vec::new(), on_page: Vec::new() })
    }

    /// Begins a page.
    pub(super) fn page(&mut self) {
        self.pages.push(Content::new());
        self.on_page.push(Vec::new());
    }

    /// How many pages there are.
    pub(super) fn count(&self) -> usize {
        self.pages.len()
    }

    /// The font, the glyph and its width for a character; control characters and what no font has are boxes.
    fn glyph(&self, c: char) -> (usize, char, u16, f32) {
        let find = |c: char| {
            self.fonts.iter().enumerate().find_map(|(at, font)| {
                let id = font.face.glyph_index(c)?;
                let advance = font.face.glyph_hor_advance(id).unwrap_or(0);
                Some((at, c, id.0, f32::from(advance) / font.units))
            })
        };
        find(c).or_else(|| find('□')).unwrap_or((0, c, 0, 1.0))
    }

    /// How wide a text is.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.glyph(c).3).sum::<f32>() * size
    }

    /// A text in lines no wider than `width`; words of letters stay whole where they can.
    pub(super) fn wrap(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        for paragraph in text.split('\n') {
            let mut line = String::new();
            let mut wide = 0.0;
            for c in paragraph.chars() {
                let step = self.glyph(c).3 * size;
                if wide + step > width && !line.is_empty() {
                    let cut = line.rfind(' ').filter(|at| c.is_ascii_alphanumeric() && *at > line.len() / 2);
                    let rest = cut.map(|at| line.split_off(at).trim_start().to_owned()).unwrap_or_default();
                    lines.push(std::mem::replace(&mut line, rest));
                    wide = self.width(&line, size);
                }
                line.push(c);
                wide += step;
            }
            lines.push(line);
        }
        lines
    }

    /// Draws a text with its baseline at `y` on a page.
    pub(super) fn text(&mut self, page: usize, x: f32, y: f32, size: f32, colour: Rgb, text: &str) {
        // Runs of one font.
        let mut runs: Vec<(usize, Vec<u8>)> = Vec::new();
        for c in text.chars() {
            let (at, shown, id, advance) = self.glyph(c);
            let font = &mut self.fonts[at];
            let new = font.glyphs.remap(id);
            font.used.insert(new, (shown, advance * 1000.0));
            match runs.last_mut() {
                Some((last, bytes)) if *last == at => bytes.extend(new.to_be_bytes()),
                _ => runs.push((at, new.to_be_bytes().to_vec())),
            }
        }
        let Some(content) = self.pages.get_mut(page) else { return };
        content.begin_text();
        content.set_fill_rgb(colour.0, colour.1, colour.2);
        content.next_line(x, y);
        for (at, bytes) in &runs {
            content.set_font(Name(format!("F{at}").as_bytes()), size);
            content.show(Str(bytes));
        }
        content.end_text();
    }

    /// Draws a line.
    pub(super) fn line(&mut self, page: usize, from: (f32, f32), to: (f32, f32), width: f32, colour: Rgb) {
        let Some(content) = self.pages.get_mut(page) else { return };
        content.set_stroke_rgb(colour.0, colour.1, colour.2);
        content.set_line_width(width);
        content.move_to(from.0, from.1);
        content.line_to(to.0, to.1);
        content.stroke();
    }

    /// Fills a box: left, bottom, width, height.
    pub(super) fn fill(&mut self, page: usize, (x, y, w, h): (f32, f32, f32, f32), colour: Rgb) {
        let Some(content) = self.pages.get_mut(page) else { return };
        content.set_fill_rgb(colour.0, colour.1, colour.2);
        content.rect(x, y, w, h);
        content.fill_nonzero();
    }

    /// Places a picture: left, bottom, width, height.
    pub(super) fn picture(&mut self, page: usize, (x, y, w, h): (f32, f32, f32, f32), jpeg: Jpeg<'a>) {
        let n = self.pictures.len();
        let Some(content) = self.pages.get_mut(page) else { return };
        content.save_state();
        content.transform([w, 0.0, 0.0, h, x, y]);
        content.x_object(Name(format!("P{n}").as_bytes()));
        content.restore_state();
        self.pictures.push(jpeg);
        if let Some(on) = self.on_page.get_mut(page) {
            on.push(n);
        }
    }

    /// The document.
    ///
    /// # Errors
    /// The font cannot be cut.
    pub(super) fn finish(self, title: &str) -> Result<Vec<u8>, String> {
        let mut next = Ref::new(1);
        let (catalog, tree, info) = (next.bump(), next.bump(), next.bump());
        let fonts: Vec<[Ref; 5]> = self.fonts.iter().map(|_| std::array::from_fn(|_| next.bump())).collect();
        let pictures: Vec<Ref> = self.pictures.iter().map(|_| next.bump()).collect();
        let pages: Vec<(Ref, Ref)> = self.pages.iter().map(|_| (next.bump(), next.bump())).collect();
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree).lang(TextStr("zh-CN"));
        pdf.document_info(info).title(TextStr(title)).producer(TextStr("Hallwatch"));
        let count = i32::try_from(pages.len()).map_err(|e| e.to_string())?;
        pdf.pages(tree).kids(pages.iter().map(|p| p.0)).count(count);
        for (((id, stream), content), on) in pages.iter().zip(self.pages).zip(&self.on_page) {
            let mut page = pdf.page(*id);
            page.parent(tree).media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).contents(*stream);
            let mut resources = page.resources();
            let mut named = resources.fonts();
            for (at, [type0, ..]) in fonts.iter().enumerate() {
                named.pair(Name(format!("F{at}").as_bytes()), *type0);
            }
            named.finish();
            let mut objects = resources.x_objects();
            for n in on {
                objects.pair(Name(format!("P{n}").as_bytes()), pictures[*n]);
            }
            objects.finish();
            resources.finish();
            page.finish();
            pdf.stream(*stream, &content.finish());
        }
        for (id, jpeg) in pictures.iter().zip(&self.pictures) {
            let mut image = pdf.image_xobject(*id, jpeg.bytes);
            image.filter(Filter::DctDecode);
            image.width(i32::try_from(jpeg.width).map_err(|e| e.to_string())?);
            image.height(i32::try_from(jpeg.height).map_err(|e| e.to_string())?);
            image.color_space().device_rgb();
            image.bits_per_component(8);
        }
        for (font, refs) in self.fonts.iter().zip(&fonts) {
            font.write(&mut pdf, refs)?;
        }
        Ok(pdf.finish())
    }
}

impl Font {
    /// Embeds what is used of the font.
    fn write(&self, pdf: &mut Pdf, [type0, cid, descriptor, file, unicode]: &[Ref; 5]) -> Result<(), String> {
        let cut = subsetter::subset(self.bytes, 0, &self.glyphs).map_err(|e| e.to_string())?;
        let system = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
        pdf.type0_font(*type0)
            .base_font(Name(self.name))
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(*cid)
            .to_unicode(*unicode);
        let mut font = pdf.cid_font(*cid);
        font.subtype(CidFontType::Type2)
            .base_font(Name(self.name))
            .system_info(system)
            .font_descriptor(*descriptor)
            .default_width(1000.0)
            .cid_to_gid_map_predefined(Name(b"Identity"));
        let mut widths = font.widths();
        for (glyph, (_, width)) in &self.used {
            widths.same(*glyph, *glyph, *width);
        }
        widths.finish();
        font.finish();
        let scale = |value: i16| f32::from(value) * 1000.0 / self.units;
        let b = self.face.global_bounding_box();
        pdf.font_descriptor(*descriptor)
            .name(Name(self.name))
            .flags(FontFlags::SYMBOLIC)
            .bbox(Rect::new(scale(b.x_min), scale(b.y_min), scale(b.x_max), scale(b.y_max)))
            .italic_angle(0.0)
            .ascent(scale(self.face.ascender()))
            .descent(scale(self.face.descender()))
            .cap_height(scale(self.face.ascender()))
            .stem_v(80.0)
            .font_file2(*file);
        let length = i32::try_from(cut.len()).map_err(|e| e.to_string())?;
        pdf.stream(*file, &cut).pair(Name(b"Length1"), length);
        let mut cmap = UnicodeCmap::<u16>::new(Name(b"HWSUBS"), system);
        for (glyph, (c, _)) in &self.used {
            cmap.pair(*glyph, *c);
        }
        pdf.cmap(*unicode, &cmap.finish());
        Ok(())
    }
}
