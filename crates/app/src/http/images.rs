//! Checks of images that clients upload. An image's type is recognised from its bytes, because the
//! declared type may be wrong.

use std::io::Cursor;

use axum::http::StatusCode;
use image::{ImageFormat, ImageReader};

use super::error::{ApiError, ApiResult};

/// Returns the media type of an image; `None` if it is not PNG, JPEG, GIF or WebP.
pub(crate) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    recognise(bytes).map(|(_, media_type)| media_type)
}

/// Returns the media type of an uploaded image. Refuses other files with 422.
///
/// Refuses an image whose header declares more than `most_pixels` with 413, because clients decode
/// images in memory. The image itself is not decoded here.
pub(crate) fn check(bytes: &[u8], most_pixels: u64) -> ApiResult<&'static str> {
    let refuse =
        || ApiError::unprocessable("an image must be a readable PNG, JPEG, GIF or WebP picture");
    let (format, media_type) = recognise(bytes).ok_or_else(refuse)?;
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), format)
        .into_dimensions()
        .map_err(|_| refuse())?;
    if u64::from(width) * u64::from(height) > most_pixels {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("an image must have at most {most_pixels} pixels, got {width} x {height}"),
        ));
    }
    Ok(media_type)
}

fn recognise(bytes: &[u8]) -> Option<(ImageFormat, &'static str)> {
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

    #[test]
    fn an_image_that_claims_too_many_pixels_is_refused_by_its_header_alone() {
        assert_eq!(
            check(&png(3, 2), 5).unwrap_err().status,
            StatusCode::PAYLOAD_TOO_LARGE
        );
        let mut bomb = png(1, 1);
        bomb[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        // The header's checksum is wrong too, so the image may be refused with 413 or with 422.
        assert!(check(&bomb, 40_000_000).is_err());
    }
}
