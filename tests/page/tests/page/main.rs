//! The page in a real browser: each test opens a window of headless Chromium.

mod browser;
mod every_screen;
mod fixture;
mod long_rooms;
mod operate;
mod talk;
