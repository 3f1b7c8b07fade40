//! Checks of images that clients upload, and their encoding. An image's type is recognised from its
//! bytes, because the declared type may be wrong.

use std::io::Cursor;

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::Image;
use image::{
    DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
    metadata::Orientation,
};

use super::{
    access::Access,
    error::{ApiError, ApiResult},
};

/// The most pixels on the long edge of a stored image. Vision models scale larger images down to
/// this size.
const LONGEST_EDGE: u32 = 1_568;
/// The size of a stored image, in bytes.
const MOST_BYTES: usize = 1 << 20;
/// The quality of JPEG images, from 1 to 100. At 85, differences are hard to see.
const JPEG_QUALITY: u8 = 85;
/// The memory that a decoded image may take, in bytes.
const MOST_DECODED_BYTES: u64 = 36 << 20;

/// Returns the media type of an image; `None` if it is not PNG, JPEG, GIF or WebP.
pub(crate) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    recognise(bytes).map(|(_, media_type)| media_type)
}

/// Returns the media type of an uploaded image. Refuses other files with 422.
///
/// Refuses an image whose header declares more than `most_pixels` with 413, because clients decode
/// images in memory. The image itself is not decoded here.
pub(crate) fn check(bytes: &[u8], most_pixels: u64) -> ApiResult<&'static str> {
    let (format, media_type) = recognise(bytes).ok_or_else(unreadable)?;
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), format)
        .into_dimensions()
        .map_err(|_| unreadable())?;
    if u64::from(width) * u64::from(height) > most_pixels {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("an image must have at most {most_pixels} pixels, got {width} x {height}"),
        ));
    }
    Ok(media_type)
}

/// Encodes an uploaded image anew: without metadata, with at most [`LONGEST_EDGE`] pixels on its
/// long edge, and with at most [`MOST_BYTES`].
///
/// An image with transparency, and an image that stays small without loss, becomes PNG. Any other
/// becomes JPEG. Of an animation, the first picture is kept.
pub(crate) async fn encode(access: &Access, bytes: Vec<u8>) -> ApiResult<Image> {
    let heavy_work = &access.app.bounds.heavy_work;
    let permit = heavy_work.begin_image(access.guest_network()).await;
    let permit = permit.map_err(|_| ApiError::busy("too many images at the same time"))?;
    let encoding = move || {
        // Held by the thread, which goes on if the caller is cancelled.
        let _permit = permit;
        encode_now(&bytes)
    };
    let encoded = tokio::task::spawn_blocking(encoding).await;
    encoded.map_err(ApiError::internal)?
}

fn encode_now(bytes: &[u8]) -> ApiResult<Image> {
    let (format, _) = recognise(bytes).ok_or_else(unreadable)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MOST_DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| refuse(&error))?;
    // The decoders do not count the memory of the decoded image.
    if decoder.total_bytes() > MOST_DECODED_BYTES {
        return Err(too_large());
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let whole = DynamicImage::from_decoder(decoder).map_err(|error| refuse(&error))?;
    let mut picture = shrink(whole, LONGEST_EDGE);
    picture.apply_orientation(orientation);
    let has_alpha = picture.color().has_alpha();
    let picture = if has_alpha {
        DynamicImage::from(picture.into_rgba8())
    } else {
        DynamicImage::from(picture.into_rgb8())
    };
    let is_drawing = has_alpha || matches!(format, ImageFormat::Png | ImageFormat::Gif);
    let mut edge = LONGEST_EDGE;
    let mut picture = picture;
    loop {
        if is_drawing {
            let mut png = Vec::new();
            let written = picture.write_with_encoder(PngEncoder::new(&mut png));
            written.map_err(ApiError::internal)?;
            if png.len() <= MOST_BYTES {
                return Ok(to_image("image/png", &png));
            }
        }
        if !has_alpha {
            let mut jpeg = Vec::new();
            let encoder = JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY);
            let written = picture.write_with_encoder(encoder);
            written.map_err(ApiError::internal)?;
            if jpeg.len() <= MOST_BYTES {
                return Ok(to_image("image/jpeg", &jpeg));
            }
        }
        edge = edge * 3 / 4;
        picture = shrink(picture, edge);
    }
}

fn shrink(picture: DynamicImage, edge: u32) -> DynamicImage {
    if picture.width().max(picture.height()) > edge {
        picture.thumbnail(edge, edge)
    } else {
        picture
    }
}

fn to_image(media_type: &str, bytes: &[u8]) -> Image {
    Image {
        media_type: media_type.to_owned(),
        data: STANDARD.encode(bytes),
    }
}

fn unreadable() -> ApiError {
    ApiError::unprocessable("an image must be a readable PNG, JPEG, GIF or WebP picture")
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "an image must take at most 36 MiB of memory when it is decoded",
    )
}

fn refuse(error: &ImageError) -> ApiError {
    match error {
        ImageError::Limits(_) => too_large(),
        _ => unreadable(),
    }
}

/// Returns the format and the media type of an image; `None` if it is not PNG, JPEG, GIF or WebP.
pub(crate) fn recognise(bytes: &[u8]) -> Option<(ImageFormat, &'static str)> {
    let format = image::guess_format(bytes).ok()?;
    let media_type = match format {
        ImageFormat::Png => "image/png",
        ImageFormat::Jpeg => "image/jpeg",
        ImageFormat::Gif => "image/gif",
        ImageFormat::WebP => "image/webp",
        _ => return None,
    };
    Some((format, media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::DynamicImage::new_luma8(width, height)
            .write_to(&mut bytes, ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn an_image_is_what_its_bytes_are() {
        assert_eq!(check(&png(3, 2), 6), Ok("image/png"));
        assert_eq!(media_type(&png(3, 2)), Some("image/png"));
        for other in [&b"<svg/>"[..], b"", b"GIF8", b"%PDF-1.4", b"<script>"] {
            assert_eq!(
                check(other, 6).unwrap_err().status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{other:?}"
            );
        }
    }

    /// Returns an image whose neighboring pixels differ, which compresses badly.
    fn noise(width: u32, height: u32) -> DynamicImage {
        let pixel = |x: u32, y: u32| {
            let mixed = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca6b)).to_le_bytes();
            image::Rgb([mixed[1], mixed[2], mixed[3]])
        };
        image::RgbImage::from_fn(width, height, pixel).into()
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> (String, Vec<u8>) {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        let image = encode_now(&bytes.into_inner()).unwrap();
        (image.media_type, STANDARD.decode(image.data).unwrap())
    }

    #[test]
    fn a_stored_image_is_small_and_keeps_its_proportions() {
        for (picture, format, media_type, size) in [
            (
                noise(3_000, 1_500),
                ImageFormat::Jpeg,
                "image/jpeg",
                (1_568, 784),
            ),
            (
                DynamicImage::new_rgb8(20, 10),
                ImageFormat::Png,
                "image/png",
                (20, 10),
            ),
            (
                DynamicImage::new_rgba8(20, 10),
                ImageFormat::WebP,
                "image/png",
                (20, 10),
            ),
            (
                DynamicImage::new_rgba16(20, 10),
                ImageFormat::Png,
                "image/png",
                (20, 10),
            ),
        ] {
            let (found, bytes) = encoded(&picture, format);
            assert_eq!(found, media_type);
            assert!(bytes.len() <= MOST_BYTES);
            let stored = image::load_from_memory(&bytes).unwrap();
            // Proportions stay, apart from a rounded pixel, also if the image was shrunk further.
            let expected = stored.width() * size.1 / size.0;
            assert!(
                stored.width() <= size.0 && stored.height().abs_diff(expected) <= 1,
                "{}x{}",
                stored.width(),
                stored.height()
            );
        }
        // A transparent image stays transparent, so it is shrunk until it is small.
        let noise = DynamicImage::from(noise(1_500, 1_500).into_rgba8());
        let (media_type, bytes) = encoded(&noise, ImageFormat::Png);
        assert_eq!(media_type, "image/png");
        assert!(bytes.len() <= MOST_BYTES);
    }

    #[test]
    fn an_image_that_would_take_much_memory_is_refused() {
        let mut png = Cursor::new(Vec::new());
        DynamicImage::new_rgba16(3_000, 2_200)
            .write_to(&mut png, ImageFormat::Png)
            .unwrap();
        let refused = encode_now(&png.into_inner()).unwrap_err();
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn an_image_loses_its_metadata_and_keeps_its_orientation() {
        let mut jpeg = Vec::new();
        let mut encoder = JpegEncoder::new(&mut jpeg);
        // EXIF with the orientation 6: the camera was turned by 90 degrees.
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        image::ImageEncoder::set_exif_metadata(&mut encoder, exif.to_vec()).unwrap();
        let picture = DynamicImage::new_rgb8(40, 20);
        picture.write_with_encoder(encoder).unwrap();
        assert!(jpeg.windows(4).any(|window| window == b"Exif"));
        let image = encode_now(&jpeg).unwrap();
        let bytes = STANDARD.decode(image.data).unwrap();
        assert!(!bytes.windows(4).any(|window| window == b"Exif"));
        let stored = image::load_from_memory(&bytes).unwrap();
        assert_eq!((stored.width(), stored.height()), (20, 40));
    }

    #[test]
    fn an_image_that_claims_too_many_pixels_is_refused_by_its_header_alone() {
        assert_eq!(
            check(&png(3, 2), 5).unwrap_err().status,
            StatusCode::PAYLOAD_TOO_LARGE
        );
    }
}
