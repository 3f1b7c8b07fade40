//! Removes metadata from a picture: comments, EXIF data, places, dates and thumbnails. Agents'
//! pictures need no token, so everybody can read what a file contains.
//!
//! The picture itself is not decoded, so this costs little more than a copy.

use std::io::Cursor;

use axum::body::Bytes;
use image::{ImageDecoder as _, ImageFormat, ImageReader, metadata::Orientation};
use img_parts::{ImageEXIF as _, jpeg::Jpeg, jpeg::markers, png::Png, webp::WebP};

/// The chunks of a PNG file that describe how it looks. All others are taken out.
const PNG_KEPT: [&[u8; 4]; 17] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP",
    b"sBIT", b"bKGD", b"pHYs", b"hIST", b"acTL", b"fcTL", b"fdAT",
];
/// The chunks of a WebP file that describe how it looks.
const WEBP_KEPT: [&[u8; 4]; 7] = [
    b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP",
];
/// The flags in `VP8X` that announce EXIF and XMP data.
const WEBP_METADATA_FLAGS: u8 = 0b0000_1100;

/// Returns the picture with only the data that are needed to show it; `None` if it is malformed.
pub(super) fn public_picture(bytes: Bytes, format: ImageFormat) -> Option<Bytes> {
    match format {
        ImageFormat::Png => png(bytes),
        ImageFormat::Jpeg => jpeg(bytes),
        ImageFormat::WebP => webp(bytes),
        ImageFormat::Gif => gif(&bytes).map(Bytes::from),
        _ => None,
    }
}

fn png(bytes: Bytes) -> Option<Bytes> {
    let mut png = Png::from_bytes(bytes).ok()?;
    png.chunks_mut()
        .retain(|chunk| PNG_KEPT.contains(&&chunk.kind()));
    Some(png.encoder().bytes())
}

fn jpeg(bytes: Bytes) -> Option<Bytes> {
    let orientation = orientation(&bytes);
    // Some cameras append a film or another picture.
    let end = end_of_jpeg(&bytes).unwrap_or(bytes.len());
    let bytes = bytes.slice(..end);
    let mut jpeg = Jpeg::from_bytes(bytes).ok()?;
    jpeg.segments_mut().retain(|segment| {
        let marker = segment.marker();
        let is_of_applications = (markers::APP0..=markers::APP15).contains(&marker);
        let is_profile =
            marker == markers::APP2 && segment.contents().starts_with(b"ICC_PROFILE\0");
        // APP0 holds the resolution, and APP14 says how the colours are stored. Longer ones hold a
        // thumbnail, or something else.
        let contents = segment.contents();
        let is_resolution = contents.starts_with(b"JFIF\0") && contents.len() <= 14;
        let is_adobe = contents.starts_with(b"Adobe") && contents.len() <= 12;
        let is_kept = marker == markers::APP0 && is_resolution
            || marker == markers::APP14 && is_adobe
            || is_profile;
        marker != markers::COM && (!is_of_applications || is_kept)
    });
    // Without its orientation, a photo taken with a phone could be shown sideways.
    if orientation != 1 {
        jpeg.set_exif(Some(exif_with(orientation)));
    }
    Some(jpeg.encoder().bytes())
}

/// Returns the length of a JPEG file up to its end marker.
fn end_of_jpeg(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes.get(2..)?;
    loop {
        // Between two segments there may be the data of the picture, in which no marker but those
        // of restarts occurs.
        let at = rest
            .windows(2)
            .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xFF | 0xD0..=0xD7))?;
        let marker = rest[at + 1];
        rest = rest.get(at + 2..)?;
        if marker == markers::EOI {
            return Some(bytes.len() - rest.len());
        }
        let length = u16::from_be_bytes([*rest.first()?, *rest.get(1)?]);
        rest = rest.get(usize::from(length)..)?;
    }
}

fn orientation(bytes: &[u8]) -> u8 {
    let reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Jpeg);
    let decoder = reader.into_decoder().ok();
    let orientation = decoder.and_then(|mut decoder| decoder.orientation().ok());
    orientation.map_or(1, Orientation::to_exif)
}

/// Returns EXIF data with the orientation alone.
fn exif_with(orientation: u8) -> Bytes {
    let mut exif = Vec::from(*b"II*\0\x08\0\0\0\x01\0");
    exif.extend(0x0112_u16.to_le_bytes());
    exif.extend(3_u16.to_le_bytes());
    exif.extend(1_u32.to_le_bytes());
    exif.extend(u32::from(orientation).to_le_bytes());
    exif.extend(0_u32.to_le_bytes());
    exif.into()
}

fn webp(bytes: Bytes) -> Option<Bytes> {
    let mut webp = WebP::from_bytes(bytes).ok()?;
    webp.chunks_mut()
        .retain(|chunk| WEBP_KEPT.contains(&&chunk.id()));
    let mut file = webp.encoder().bytes().to_vec();
    // The file begins with `RIFF`, its length and `WEBP`, and `VP8X` comes first if there is one.
    if file.get(12..16) == Some(b"VP8X") {
        *file.get_mut(20)? &= !WEBP_METADATA_FLAGS;
    }
    Some(file.into())
}

/// Copies the blocks of a GIF file without comments, texts and data of applications. The block that
/// says how often an animation repeats stays.
fn gif(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let mut kept = Vec::with_capacity(bytes.len());
    let head = take(&mut rest, 13)?;
    kept.extend(head);
    kept.extend(take(&mut rest, colour_table(head[10]))?);
    loop {
        match take(&mut rest, 1)?[0] {
            0x3B => {
                kept.push(0x3B);
                return Some(kept);
            }
            0x2C => {
                let image = take(&mut rest, 9)?;
                kept.push(0x2C);
                kept.extend(image);
                kept.extend(take(&mut rest, colour_table(image[8]))?);
                kept.extend(take(&mut rest, 1)?);
                kept.extend(blocks(&mut rest)?);
            }
            0x21 => {
                let label = take(&mut rest, 1)?[0];
                let data = blocks(&mut rest)?;
                let is_repetition = data.get(1..12) == Some(b"NETSCAPE2.0");
                if label == 0xF9 || (label == 0xFF && is_repetition) {
                    kept.extend([0x21, label]);
                    kept.extend(data);
                }
            }
            _ => return None,
        }
    }
}

/// Returns the length of the colour table that these flags announce.
fn colour_table(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 0x07) + 1)
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

/// Takes blocks with their lengths, up to the empty one that ends them.
fn blocks<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let all = *rest;
    loop {
        let length = usize::from(take(rest, 1)?[0]);
        take(rest, length)?;
        if length == 0 {
            return all.get(..all.len() - rest.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbaImage};
    use img_parts::{
        jpeg::JpegSegment,
        png::PngChunk,
        riff::{RiffChunk, RiffContent},
    };

    use super::*;

    const SECRET: &[u8] = b"secret: 52.5200 N, 13.4050 E";

    fn contains_secret(bytes: &[u8]) -> bool {
        bytes.windows(SECRET.len()).any(|window| window == SECRET)
    }

    fn picture(format: ImageFormat) -> Bytes {
        let pixels = RgbaImage::from_fn(40, 20, |x, y| {
            image::Rgba([(x * 6).to_le_bytes()[0], y.to_le_bytes()[0], 90, 255])
        });
        let mut file = Cursor::new(Vec::new());
        let picture = match format {
            ImageFormat::Jpeg => DynamicImage::from(pixels).into_rgb8().into(),
            _ => DynamicImage::from(pixels),
        };
        picture.write_to(&mut file, format).unwrap();
        file.into_inner().into()
    }

    /// Checks that the secret is gone and that the picture looks as before.
    fn check(with_secret: Bytes, format: ImageFormat) -> Bytes {
        assert!(contains_secret(&with_secret), "{format:?}");
        let public = public_picture(with_secret.clone(), format).unwrap();
        assert!(!contains_secret(&public), "{format:?}");
        let decode = |bytes: &[u8]| image::load_from_memory_with_format(bytes, format).unwrap();
        assert_eq!(decode(&public), decode(&with_secret), "{format:?}");
        public
    }

    #[test]
    fn texts_and_exif_are_taken_out_of_a_png() {
        let mut png = Png::from_bytes(picture(ImageFormat::Png)).unwrap();
        for kind in [*b"tEXt", *b"iTXt", *b"zTXt", *b"eXIf", *b"prVt"] {
            let chunk = PngChunk::new(kind, Bytes::from_static(SECRET));
            png.chunks_mut().insert(1, chunk);
        }
        let mut file = png.encoder().bytes().to_vec();
        // Some cameras append a film or another picture.
        file.extend(SECRET);
        check(file.into(), ImageFormat::Png);
    }

    #[test]
    fn exif_comments_and_thumbnails_are_taken_out_of_a_jpeg_but_not_its_orientation() {
        let mut jpeg = Jpeg::from_bytes(picture(ImageFormat::Jpeg)).unwrap();
        let mut exif = exif_with(6).to_vec();
        exif.extend(SECRET);
        jpeg.set_exif(Some(exif.into()));
        for marker in [markers::COM, markers::APP13, markers::APP2] {
            let segment = JpegSegment::new_with_contents(marker, Bytes::from_static(SECRET));
            jpeg.segments_mut().insert(1, segment);
        }
        let mut file = jpeg.encoder().bytes().to_vec();
        file.extend(SECRET);
        let public = check(file.into(), ImageFormat::Jpeg);
        assert_eq!(orientation(&public), 6);
    }

    #[test]
    fn exif_and_unknown_chunks_are_taken_out_of_a_webp() {
        let mut webp = WebP::from_bytes(picture(ImageFormat::WebP)).unwrap();
        webp.set_exif(Some(Bytes::from_static(SECRET)));
        let chunk = RiffContent::Data(Bytes::from_static(SECRET));
        webp.chunks_mut().push(RiffChunk::new(*b"XMP ", chunk));
        let public = check(webp.encoder().bytes(), ImageFormat::WebP);
        assert!(WebP::from_bytes(public).unwrap().exif().is_none());
    }

    #[test]
    fn comments_are_taken_out_of_a_gif_but_not_its_repetition() {
        let file = picture(ImageFormat::Gif);
        // After the head and its colour table.
        let at = 13 + colour_table(file[10]);
        let mut with_secret = file[..at].to_vec();
        let block = |label: u8, data: &[u8]| {
            let mut block = vec![0x21, label, u8::try_from(data.len()).unwrap()];
            block.extend(data);
            block.push(0);
            block
        };
        with_secret.extend(block(0xFE, SECRET));
        with_secret.extend(block(0xFF, b"NETSCAPE2.0"));
        with_secret.extend(&file[at..]);
        with_secret.extend(SECRET);
        let public = check(with_secret.into(), ImageFormat::Gif);
        assert!(public.windows(11).any(|window| window == b"NETSCAPE2.0"));
    }

    #[test]
    fn a_broken_picture_is_not_shown() {
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::WebP,
            ImageFormat::Gif,
        ] {
            let whole = picture(format);
            let half = whole.slice(..12.min(whole.len()));
            assert_eq!(public_picture(half, format), None, "{format:?}");
        }
    }
}
