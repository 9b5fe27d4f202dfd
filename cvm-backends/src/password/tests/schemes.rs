//! Argon2, and the schemes of Dovecot and LDAP.

use super::*;

/// Passwords and what was stored for them.
pub(super) const VECTORS: &[(&[u8], &str)] = &[
    // `argon2` of Debian's package argon2 0~20171227.
    (b"secret", "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$X5TwrKDLsshsw1ylU9uT2FzYTg+mRgAr9dIrrx3Y4G4"),
    ("pässwörd".as_bytes(), "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$rACyfi2Jp59Jaqm6r8vkpoOemYdnm+4DckAH0T8jCBs"),
    (&[b'k'; 100], "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$F4T0m2zLkgjGEyaq2pS4kRP60Jrb55BnE1OGPaoQIEk"),
    (b"secret", "$argon2id$v=19$m=64,t=2,p=2$c29tZXNhbHQ$xc0jUw03rmym047P2QjUDA"),
    ("pässwörd".as_bytes(), "$argon2id$v=19$m=64,t=2,p=2$c29tZXNhbHQ$37CCve6kTWZjZZk7CgRF1w"),
    (&[b'k'; 100], "$argon2id$v=19$m=64,t=2,p=2$c29tZXNhbHQ$FkPcBw6rpLLhpboFMTCvfA"),
    (b"secret", "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHQ$JSTtCfuzyWAVVZF1mjNyip+A7CCi5xkKhBoPdXSPbqs"),
    ("pässwörd".as_bytes(), "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHQ$zCxfvaF/+TK3NKvULf58DabKmTjARIRcfYdDxm8GZLA"),
    (&[b'k'; 100], "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHQ$yOdu4PBvP2SDc8Amd0f0j7y4mikeDJYVGoRN7hEYR7w"),
    (
        b"secret",
        "$argon2id$v=19$m=100,t=1,p=4$c29tZXNhbHQ$ec+47+SvjcaF8/UdRMYVSYqzSRUkSg2jy6rN2Xw58EIyYMxwCSa1bkv6/PKlqJHTmyTpHLO3wa21UsTcgBE8LA",
    ),
    (
        "pässwörd".as_bytes(),
        "$argon2id$v=19$m=100,t=1,p=4$c29tZXNhbHQ$Kmx749oKhU6RDp6jKPEGNsnjEpL9l8Q7jLHjESI5WUYeB6UZGxAu9u+5v9DScCou7z7HC9YfTaNd8yaDKQg2dQ",
    ),
    (
        &[b'k'; 100],
        "$argon2id$v=19$m=100,t=1,p=4$c29tZXNhbHQ$WJidR+cL4jFNTdVXBiOyC1mRhkx+AYbX7fxJEO2Vt0aFAhbmaEwT3U99GXYWLzUJC1OvRd2tUCZGAJNqht2mUg",
    ),
    (b"secret", "$argon2i$v=16$m=32,t=3,p=1$c29tZXNhbHQ$21a6ax2mqrCzsF9OvWCXO6nOTSC91WbcAYgkkdn96jE"),
    ("pässwörd".as_bytes(), "$argon2i$v=16$m=32,t=3,p=1$c29tZXNhbHQ$YovNHK4poE7fijqhWkzEl9kz3INqF8TfUofAG/6CLnE"),
    (&[b'k'; 100], "$argon2i$v=16$m=32,t=3,p=1$c29tZXNhbHQ$FDvNLYkQSGbjJzKl6iQjmk2AR76dg9NAA+sRqYQWdmQ"),
    (b"secret", "$argon2id$v=16$m=32,t=2,p=1$c29tZXNhbHQ$syj5QZpBzG6k8XozYk/LBvWXqw5Mf3ExYFcOvI/H73U"),
    ("pässwörd".as_bytes(), "$argon2id$v=16$m=32,t=2,p=1$c29tZXNhbHQ$3VVPQbk9QzejKOs2sAXs+jwuWHMOpYLKXuJ7Jzo9OSA"),
    (&[b'k'; 100], "$argon2id$v=16$m=32,t=2,p=1$c29tZXNhbHQ$xh1zUREBV5z8trsAV8E320sEfFaJ7chAqb+5eIo9hfM"),
    // Dovecot 2.3.19's `doveadm pw`.
    (b"secret", "{PLAIN}secret"),
    ("pässwörd".as_bytes(), "{PLAIN}pässwörd"),
    (
        &[b'k'; 100],
        "{PLAIN}kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
    ),
    (b"secret", "{CLEARTEXT}secret"),
    ("pässwörd".as_bytes(), "{CLEARTEXT}pässwörd"),
    (
        &[b'k'; 100],
        "{CLEARTEXT}kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
    ),
    (b"secret", "{SSHA}2Br+dxU3PiM1b3p90Fee5gS+VWQMrBH4"),
    ("pässwörd".as_bytes(), "{SSHA}rNNLauReuYjtj7th5w7ZoDLnTMu6275o"),
    (&[b'k'; 100], "{SSHA}CCzLW5F5ao08SjmuXnhxcwPfLDnMQSwL"),
    (b"secret", "{SSHA256}HN+4MVXAXojnDdmV91ZJuROdPxQlApYtgiehANR3+XOTksqL"),
    ("pässwörd".as_bytes(), "{SSHA256}E15Zdki7FTzF0WUk5gi2vF5uJ0A7kQNX4ySfIBs/5OUARg2f"),
    (&[b'k'; 100], "{SSHA256}xoAKb0EG06teyPWUKySa23wiV1fI9+nFY2fnJP/uG3mgBXNQ"),
    (
        b"secret",
        "{SSHA512}JP9WvC1yx/YrB1k758DQ9N9d+SyxkAetPJww+/7BjVhBw93JpE7CxBl3KAwTmgdCqGhyTFAexH6JOy1/vv6YFAO38Vs=",
    ),
    (
        "pässwörd".as_bytes(),
        "{SSHA512}lKr3j6RpWCEr70na9syKoNQuLjNqYzzveddSHHA1XUdKOP4G3FGvkT+Kt5z0GmTN2zu1CjAQwcdEjXKwDqe5y2l1sc4=",
    ),
    (
        &[b'k'; 100],
        "{SSHA512}yiu3nlf84JOranRfMVRQBvM+5bjIgxoUCp4e84ZAvqr8je/TQxijoBb99OM3Azn8f2BTm8uVq1OWSrCqgJuEdAvn/2E=",
    ),
    (b"secret", "{PBKDF2}$1$7yPH33dtvsnCnhGK$1$ef2869635bbc35c55cf225ef47ae575af28da6a0"),
    ("pässwörd".as_bytes(), "{PBKDF2}$1$BWr41h0w9ApBhe54$1$66c4a5857e9b1895e8d54e259cd131a264a80cc4"),
    (&[b'k'; 100], "{PBKDF2}$1$MlewUV5gzTQXdS2b$1$a7d77203f8f847a8d5e815898aa30634bccd3215"),
    (b"secret", "{PBKDF2}$1$hsRJVpoEW1zT1p4t$100$e9ba2f48bc094d058d74fb1f4ab0ca8ffe3d3ada"),
    ("pässwörd".as_bytes(), "{PBKDF2}$1$vdlME2kh1DP.FaZz$100$26941c1f2f4bd8a287ed502ac362f05761bbac94"),
    (&[b'k'; 100], "{PBKDF2}$1$oofGPIn37R8VqFsV$100$add99bc735ee082e19c95587390295c9151d1a7d"),
    (b"secret", "{PBKDF2}$1$eO3VpCY7Dw983Zym$5000$276c5a7072e4ced36dd394bd07a6e62f8bbf1616"),
    ("pässwörd".as_bytes(), "{PBKDF2}$1$D9uDOvRZM5zmAB3J$5000$c8cee8fefbcb2effdda23266f15986cf2673d791"),
    (&[b'k'; 100], "{PBKDF2}$1$Cz1ISsqpbIn2GVNH$5000$67522482fc7edfb3a6a0ea0deffbd8384bb3f86c"),
    (b"secret", "{CRYPT}$2y$04$9c7LPt1Dt2VkTmLs/RsplODb8yW2h3TWJw.n5UyK4R38YZjUDnula"),
    ("pässwörd".as_bytes(), "{CRYPT}$2y$04$scC6Rdd3Z6hhSEuG7dOPs.sCcUJZUjJBTG4/fnMPQY.mkpaEPyc7a"),
    (b"secret", "{BLF-CRYPT}$2y$04$PKOXZV26mnqs0W74TaNZteA8U6iOgOse8p9zIGJW8izs.zd4e0NNi"),
    ("pässwörd".as_bytes(), "{BLF-CRYPT}$2y$04$MVzrop0OUY1Bj0Sku.vip.5ShJhBFJyeyDO3sXM0dOpD2vkXZGJoC"),
    (b"secret", "{MD5-CRYPT}$1$czIIIkJw$X6AvonVenA1uLp3/7Mmy/1"),
    ("pässwörd".as_bytes(), "{MD5-CRYPT}$1$ghqkWnLw$Xa4uuwOmRudaSzDNDt6eh/"),
    (&[b'k'; 100], "{MD5-CRYPT}$1$TOvXbOld$EbxjqJeWjxc/XdyMO7rYE."),
    (b"secret", "{SHA256-CRYPT}$5$rounds=1000$bsY7/glv0.USSIvp$GJfcnVLoUzOaLCvR7TzdyGRUbfWZWkqZ58AhbqR1Gw9"),
    (
        "pässwörd".as_bytes(),
        "{SHA256-CRYPT}$5$rounds=1000$u7zZuUKqHPE4cgX3$qaaNwkf3BajoweAcQ/CIZkdlXHGppm5Wkz/ofgA2HVD",
    ),
    (&[b'k'; 100], "{SHA256-CRYPT}$5$rounds=1000$E/nS9OajUVSkYNFd$4djrBvXZsknbXcBE8Df2o/N..d75P/qkYLSO/edlsR0"),
    (
        b"secret",
        "{SHA512-CRYPT}$6$rounds=1000$IT7tBRu11ymCFjFU$GeNaV95fT/Te43xJqdP9HIVEONm.bx78opHh5OIkTvTrPNmUPD2ZvoPewHiqvbpZJ3YabG7eGCDZ1sO9N/CT61",
    ),
    (
        "pässwörd".as_bytes(),
        "{SHA512-CRYPT}$6$rounds=1000$cWYbtBL779W8lgvu$YY1YfmTMmbOEgQTe9I29aoYgMnyuO4VhRbrYRcIqEzFUIC4T.6SR5xLhXqMrLw1b502TrPMtAZffBLR4tvWa61",
    ),
    (
        &[b'k'; 100],
        "{SHA512-CRYPT}$6$rounds=1000$aZ/sEHS6l6PP9W24$9ToJYZphNdGWh4WR9n9GBCgCN0FjsYNzKjNKDtz1bzOK4GcC9rU4Yv40TH5hKLh9QZd42UuWSqwkchtFhYET00",
    ),
    (b"secret", "{SHA256-CRYPT}$5$uHegYlV9PqxxAXJD$ug5mTvKa.svcOY5.nlOyOy5cyZo5wZGKWn9k1mb1ll0"),
    ("pässwörd".as_bytes(), "{SHA256-CRYPT}$5$tbyMEQiIaWn6O3pY$iBPicM0iRIQBNcOrTniB3r6zYUBTT.xTvWQ1sQrAb3."),
    (&[b'k'; 100], "{SHA256-CRYPT}$5$dMtDqyw9UIhCuRKe$qDX.uNkzj/Jh81VbAgTNGzZWGz5smHFnS6Zrx7zD678"),
    (
        b"secret",
        "{SHA512-CRYPT}$6$ZVPnS5BQyEnUr3eo$zcQEh3PmIoH0sFdKpS51wRbJVBHA7YudknDMSe7WxSE9QAlV1cMnDVaBKyCW0zkxi1Z4JCS3HhgFsdHO6bHpE0",
    ),
    (
        "pässwörd".as_bytes(),
        "{SHA512-CRYPT}$6$wvGqc6JeToOXVFdc$WPXShrqlJEYor7DwphppLsMj.HZjd1YxGqHBYKznt9JuBXVX5D.UJL7pJLU.rCAG5aiqXfcHNU6MulWeK/PQ/0",
    ),
    (
        &[b'k'; 100],
        "{SHA512-CRYPT}$6$sbD9bT3ev4/AMSew$2kkuQdw6cdwFfT5lcJlC/AMBV4D/pGUP0oefbBlfiwGH1woETOAJQHescgLvhnAXHdIOa231uAELnPJAmahmx.",
    ),
    (
        b"secret",
        "{ARGON2I}$argon2i$v=19$m=32768,t=3,p=1$7RzoTv6r+sSjwIfLIzhhRw$oZ8X6pSy4IfeWJ8rbAwpD5JuINbzu915ye7gSekjI1k",
    ),
    (
        "pässwörd".as_bytes(),
        "{ARGON2I}$argon2i$v=19$m=32768,t=3,p=1$XGL37b2VilhG5mkF5s9EZw$mYc9COnGm1KnrUJ5czNzQ0bU+qhzscejBagnqECihOc",
    ),
    (
        b"secret",
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$gEX1GBwqDb19aRJ+1TJLcg$tq8ZgIdU4VgIZK7zZS9bQyXqrNpmJ0uwafI7EaCAFUU",
    ),
    (
        "pässwörd".as_bytes(),
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$jqG3y9bdpwALtGNh25RI9g$8sGgDnLcewx7FNS8b3rvhzub63M5rlGBdXdQFUUmtAs",
    ),
    // OpenLDAP 2.5.13's `slappasswd`, with its module argon2.
    (
        b"secret",
        "{ARGON2}$argon2i$v=19$m=64,t=2,p=1$txJkrVp87II3AwldqmaebA$Ix42H0qojHsKZ+8yud4KPOr4+DL+pX5L9usyjdxdiOw",
    ),
    (
        b"secret",
        "{ARGON2}$argon2i$v=19$m=4096,t=3,p=1$OgcdLdAlwH+U2j+FaDwfFQ$NFxPG7Z7RI5bipmmz6OUyEXld6ca8UGuCAOImSPg8x4",
    ),
    // OpenLDAP 2.5.13's `slappasswd`, with its module pw-sha2.
    (b"secret", "{SSHA}1ZJC7/U24CQI20g7ZQhIKKVzg0h6LBL+"),
    ("pässwörd".as_bytes(), "{SSHA}euPzpv38xbct2OGMuj1kIalaroRt8eHi"),
    (b"secret", "{SSHA256}LkmB3//FjY5aReCs+ijCgvS7md7zF8k1zNj0P+IeUlfyxBvpUw/2KA=="),
    ("pässwörd".as_bytes(), "{SSHA256}BPJHNxXzS9cPqgKiVIdVuIXW0veGa1SzQXxL9R4XF2ftFyr3OHhsVg=="),
    (
        b"secret",
        "{SSHA512}oiKHdRr1FfMG3anRQDNfg4rM8LNs+47TkhDzPk4typ//EH2WemN2HT9IzD6AebBaOh/FFgrnYWS7GJmpSRYp54P7BKb91Etn",
    ),
    (
        "pässwörd".as_bytes(),
        "{SSHA512}CZLz62dIVMXWPFj7kisCtwURlSRmK6LQgf3K8aOlLVrzP3ohy2m2AnqOwrn9cFo47E1IS2kVXA9CAruphkGCAaYR8h+siB0P",
    ),
    (
        b"secret",
        "{CRYPT}$6$rounds=1000$WiKLR6Vl$1tTb7pFWNdxsO1S.1Gsi1KjV7KoThSrqIO.rNCdKXc2lf1d7RODL3XA7Fs6KvUSzHU0Hf1eiuMYlfzv87TcgX.",
    ),
    (
        "pässwörd".as_bytes(),
        "{CRYPT}$6$rounds=1000$AtILXsQg$7u4Hm2Trb.8.umGHA.YGirfTVOJON5wS94PmzBZxlU.xtYIb4vDuZGikvzrCqTgJH.JRppyX/VyX2yKLkozxF.",
    ),
    (b"secret", "{CRYPT}ZPDh9zKJDQyXY"),
    (b"secret", "{CRYPT}$y$j75$ZVO0q0c4$GncjoAc7r.TqHgxNYmIVvevO3OaCKGlsMH8cskNv7f3"),
];

#[test]
fn schemes_have_no_case() {
    for stored in ["{plain}secret", "{ClearText}secret", "{ssha}1ZJC7/U24CQI20g7ZQhIKKVzg0h6LBL+"] {
        assert_eq!(verify(stored, "secret"), Ok(true), "{stored}");
    }
}

#[test]
fn a_scheme_stands_before_its_own_form_only() {
    let (md5, bcrypt) =
        ("$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "$2y$04$OepyEmqEk602VkrhF1SSBeHN2b.IrjLyvhMaa5gjOLH7L3TVbvSJ6");
    for stored in [format!("{{CRYPT}}{md5}"), format!("{{MD5-CRYPT}}{md5}"), format!("{{BLF-CRYPT}}{bcrypt}")] {
        assert_eq!(verify(&stored, "secret"), Ok(true), "{stored}");
    }
    let argon2i = "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$X5TwrKDLsshsw1ylU9uT2FzYTg+mRgAr9dIrrx3Y4G4";
    for (scheme, rest) in [
        ("BLF-CRYPT", md5),
        ("MD5-CRYPT", bcrypt),
        ("SHA512-CRYPT", md5),
        ("ARGON2ID", argon2i),
        ("SSHA", md5),
        ("PLAIN-MD5", "secret"),
        ("CRYPT", "{PLAIN}secret"),
        ("CRYPT", "secret"),
        ("", "secret"),
        (" PLAIN", "secret"),
        ("PLAIN.B64", "c2VjcmV0"),
        ("a name that is longer than any", "secret"),
    ] {
        let stored = format!("{{{scheme}}}{rest}");
        assert_eq!(standing(&stored), Err(Unusable::Unknown), "{stored}");
        assert_eq!(verify(&stored, "secret"), Ok(false), "{stored}");
    }
}

#[test]
fn plain_text_behind_a_scheme_is_taken_as_it_is() {
    for password in ["*", "!", "x", "{PLAIN}", "}", " a ", "\u{e4}"] {
        let stored = format!("{{PLAIN}}{password}");
        assert_eq!(verify(&stored, password), Ok(true), "{stored}");
        assert_eq!(verify(&stored, &stored), Ok(false), "{stored}");
    }
    for locked in
        ["{PLAIN}", "{CLEARTEXT}", "{CRYPT}", "{CRYPT}*", "{CRYPT}!$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "{CRYPT}x"]
    {
        assert_eq!(standing(locked), Err(Unusable::Locked), "{locked}");
    }
}

#[test]
fn a_salted_digest_and_argon2_take_every_byte() {
    // Python 3.11's hashlib and base64; argon2.
    for stored in NUL {
        assert_eq!(verify(stored, "a\0b"), Ok(true), "{stored}");
        assert_eq!(verify(stored, "a"), Ok(false), "{stored}");
    }
}

/// Hashes of `a`, NUL, `b`.
const NUL: &[&str] = &[
    "{SSHA}b9Rb3s/fJcLpwGY/2IgnzEs/vZdzYWx0",
    "{SSHA256}t55qdmIaRJ+rIGbgkTOR2iETB0jFK8GACWFSV8A0+9VzYWx0",
    "{SSHA512}wq0UKDHgLFLVKTvfm4XXzvg2aA8ae4G1FDnOmw5R7kD/bBIBD8zhbHQQsjQWgj6zWJKHkUx69gwGoO/nFA8eOXNhbHQ=",
    "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$O2ZcQh+67j87V+7TWgM64nU1t2bwQKDae9F4bZ84xjo",
];

#[test]
fn strings_that_are_nearly_argon2_are_unknown() {
    let digest = "c29tZXNhbHQ$X5TwrKDLsshsw1ylU9uT2FzYTg+mRgAr9dIrrx3Y4G4";
    for start in [
        "$argon2d$v=19$m=8,t=1,p=1",
        "$argon2$v=19$m=8,t=1,p=1",
        "$argon2i$v=18$m=8,t=1,p=1",
        "$argon2i$v=$m=8,t=1,p=1",
        "$argon2i$v=19$m=7,t=1,p=1",
        "$argon2i$v=19$m=8,t=0,p=1",
        "$argon2i$v=19$m=8,t=1,p=0",
        "$argon2i$v=19$m=8,t=1,p=2",
        "$argon2i$v=19$m=08,t=1,p=1",
        "$argon2i$v=19$m=8,t=1",
        "$argon2i$v=19$t=1,m=8,p=1",
        "$argon2i$v=19$m=8,t=1,p=1,data=AAAA",
        "$argon2i$v=19$m=4294967296,t=1,p=1",
        "$argon2i$v=19$m=4294967295,t=1,p=536870912",
    ] {
        let stored = format!("{start}${digest}");
        assert_eq!(standing(&stored), Err(Unusable::Unknown), "{stored}");
    }
    for digest in
        ["c29tZXNhbHQ$", "$X5TwrKDLsshs", "c29tZQ$X5TwrKDLsshs", "c29tZXNhbHQ$X5Tw", "c29tZXNhbHQ$X5TwrKDLsshs="]
    {
        let stored = format!("$argon2i$v=19$m=8,t=1,p=1${digest}");
        assert_eq!(standing(&stored), Err(Unusable::Unknown), "{stored}");
    }
}

#[test]
fn base_64_and_hexadecimal_digits_are_whole() {
    for stored in [
        "{SSHA}",
        "{SSHA}1ZJC7/U24CQI20g7ZQhIKKVzg0h6LBL",
        "{SSHA}1ZJC7/U24CQI20g7ZQhIKKVzg0h6LBL+=",
        "{SSHA}1ZJC7/U24CQI20g7ZQhIKKVzg0g=",
        "{SSHA256}1ZJC7/U24CQI20g7ZQhIKKVzg0h6LBL+",
        "{SSHA}1ZJC7/U24CQI20g7ZQhIKKVzg0h6LBL-",
        "{PBKDF2}$1$salt$1$",
        "{PBKDF2}$1$salt$0$ef2869635bbc35c55cf225ef47ae575af28da6a0",
        "{PBKDF2}$1$$1$ef2869635bbc35c55cf225ef47ae575af28da6a0",
        "{PBKDF2}$2$salt$1$ef2869635bbc35c55cf225ef47ae575af28da6a0",
        "{PBKDF2}$1$salt$1$ef2869635bbc35c55cf225ef47ae575af28da6a",
        "{PBKDF2}$1$salt$1$ef2869635bbc35c55cf225ef47ae575af28da6ag",
        "{PBKDF2}$1$salt$1$ef2869635bbc35c55cf225ef47ae575af28da6a0a0",
    ] {
        assert_eq!(standing(stored), Err(Unusable::Unknown), "{stored}");
    }
    let long = format!("{{SSHA}}{}", "AAAA".repeat(100_000));
    assert_eq!(standing(&long), Err(Unusable::Unknown));
}
