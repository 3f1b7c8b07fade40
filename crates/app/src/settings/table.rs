//! The macro that declares settings, one row each.

/// Declares the settings of one section.
///
/// Each row has a help text, a name, a type, an optional default, an environment variable and a
/// placeholder for `--help`. The section becomes a struct, which clap reads from flags and
/// environment variables, and serde from the settings file. A setting that is not given is `None`.
/// The settings in `lists` can be given several times. The entries in `plus` are ordinary struct
/// fields: only one of the two sources can set them.
///
/// With `=> Resolved`, the macro also declares a struct of the settings after defaults are applied.
/// Every row then needs a default.
macro_rules! settings_table {
    (
        $(#[$meta:meta])*
        pub struct $Flags:ident => $(#[$resolved_meta:meta])* $Resolved:ident {
            $(
                $(#[doc = $doc:literal])+
                $name:ident: $type:ty = $default:expr, $env:literal, $placeholder:literal;
            )*
        }
    ) => {
        settings_table! {
            $(#[$meta])*
            pub struct $Flags {
                $($(#[doc = $doc])+ $name: $type = $default, $env, $placeholder;)*
            }
        }

        $(#[$resolved_meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $Resolved {
            $($(#[doc = $doc])+ pub $name: $type,)*
        }

        impl Default for $Resolved {
            fn default() -> Self {
                Self { $($name: $crate::settings::table::default_value($default),)* }
            }
        }

        impl $Resolved {
            pub(super) fn new(flags: $Flags) -> Self {
                let default = Self::default();
                Self { $($name: flags.$name.unwrap_or(default.$name),)* }
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub struct $Flags:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[arg($($arg:tt)*)])?
                $name:ident: $type:ty $(= $default:expr)?, $env:literal, $placeholder:literal;
            )*
        }
        $(lists {
            $(
                $(#[doc = $list_doc:literal])+
                $list:ident: $item:ty, $flag:literal, $list_env:literal, $list_placeholder:literal;
            )*
        })?
        $(plus { $($plus:tt)* })?
    ) => {
        #[derive(clap::Args, Clone, Debug, Default, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $(#[$meta])*
        pub struct $Flags {
            $(
                $(#[doc = $doc])+
                #[arg(
                    long,
                    env = $env,
                    value_name = $placeholder,
                    global = true,
                    value_parser = <$type as $crate::settings::value::SettingValue>::flag_parser(),
                    help = [
                        concat!($($doc),+).trim_start().to_owned(),
                        $(format!(" [default: {}]", $default),)?
                    ].concat()
                )]
                $(#[arg($($arg)*)])?
                #[serde(deserialize_with = "crate::settings::value::optional")]
                pub $name: Option<$type>,
            )*
            $($(
                $(#[doc = $list_doc])+
                #[arg(
                    long = $flag,
                    env = $list_env,
                    value_name = $list_placeholder,
                    value_delimiter = ',',
                    global = true,
                    value_parser = <$item as $crate::settings::value::SettingValue>::flag_parser(),
                )]
                #[serde(deserialize_with = "crate::settings::value::list")]
                pub $list: Vec<$item>,
            )*)?
            $($($plus)*)?
        }

        impl $Flags {
            /// Sets each missing setting from the file, or else to its default.
            ///
            /// Does not change the fields in `plus`.
            pub(super) fn complete(&mut self, file: &mut Self) {
                $(
                    self.$name = self.$name.take().or(file.$name.take());
                    $(
                        self.$name.get_or_insert_with(|| {
                            $crate::settings::table::default_value($default)
                        });
                    )?
                )*
                $($(
                    if self.$list.is_empty() {
                        self.$list = std::mem::take(&mut file.$list);
                    }
                )*)?
            }
        }
    };
}

pub(super) use settings_table;

use super::value::SettingValue;

/// Parses a default value. Defaults are written as text, in the form that users write and that
/// `--help` shows.
pub(super) fn default_value<T: SettingValue>(text: impl ToString) -> T {
    T::parse(&text.to_string()).expect("the default is valid")
}
