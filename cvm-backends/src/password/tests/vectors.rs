//! Stored passwords that other programs made.

/// Passwords and what was stored for them.
pub(super) const VECTORS: &[(&[u8], &str)] = &[
    // Perl 5.36's crypt, over libxcrypt 4.4.33.
    (b"a", "abxxB7HlIeckU"),
    (b"secret", "./17m29LFAflg"),
    (b"12345678", "zZYQyo/kK5WTQ"),
    (b"123456789", "zZYQyo/kK5WTQ"),
    (b"p\xe4ssw\xf6rd", "9kS.EcxJQ7bmk"),
    (b"a", "$1$$Ij31LCAysPM23KuPlm1wA/"),
    (b"secret", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"),
    (b"p\xe4ssw\xf6rd", "$1$x$cy3ZFh7Uqx8OVfNZ7PG1N."),
    (b"0123456789abcdef", "$1$./$9EpiuVI.C5ck0jtmTWSiR."),
    (&[b'k'; 255], "$1$abcdefg$OojMK1O18m0kci9P1zi5C1"),
    (b"a", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm"),
    (b"p\xe4ssw\xf6rd", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.sKdETVm0wAPrMiY.PQ9xExSv18yFScK"),
    (&[b'k'; 71], "$2a$04$abcdefghijklmnopqrstuuQcYikPolskno5XuAZ2w9OTpbfePL9te"),
    (&[b'k'; 72], "$2a$04$abcdefghijklmnopqrstuuxC5zBssI9/6x/6iWxqqDBY.Vv9oVG2q"),
    (&[b'k'; 255], "$2a$04$abcdefghijklmnopqrstuuxC5zBssI9/6x/6iWxqqDBY.Vv9oVG2q"),
    (b"\xa3", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.zR25Qm6CVRsvf4Bqkn0H2bcEFOKb8qq"),
    (b"a", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm"),
    (b"p\xe4ssw\xf6rd", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.sKdETVm0wAPrMiY.PQ9xExSv18yFScK"),
    (&[b'k'; 71], "$2b$04$abcdefghijklmnopqrstuuQcYikPolskno5XuAZ2w9OTpbfePL9te"),
    (&[b'k'; 72], "$2b$04$abcdefghijklmnopqrstuuxC5zBssI9/6x/6iWxqqDBY.Vv9oVG2q"),
    (&[b'k'; 255], "$2b$04$abcdefghijklmnopqrstuuxC5zBssI9/6x/6iWxqqDBY.Vv9oVG2q"),
    (b"\xff\xff\xa3", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.79F7iyfPXU.AMPgYp2WOmvgKQ4Ez/5."),
    (b"\xff\xa334\xff\xff\xff\xa3345", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.PZmIKt.m7jAS2MaAgriAh2m0Mear0sG"),
    (b"\xa3", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.zR25Qm6CVRsvf4Bqkn0H2bcEFOKb8qq"),
    (b"a", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm"),
    (b"p\xe4ssw\xf6rd", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.sKdETVm0wAPrMiY.PQ9xExSv18yFScK"),
    (&[b'k'; 71], "$2y$04$abcdefghijklmnopqrstuuQcYikPolskno5XuAZ2w9OTpbfePL9te"),
    (&[b'k'; 72], "$2y$04$abcdefghijklmnopqrstuuxC5zBssI9/6x/6iWxqqDBY.Vv9oVG2q"),
    (&[b'k'; 255], "$2y$04$abcdefghijklmnopqrstuuxC5zBssI9/6x/6iWxqqDBY.Vv9oVG2q"),
    (b"\xff\xff\xa3", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.79F7iyfPXU.AMPgYp2WOmvgKQ4Ez/5."),
    (b"\xff\xa334\xff\xff\xff\xa3345", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.PZmIKt.m7jAS2MaAgriAh2m0Mear0sG"),
    (b"\xa3", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.zR25Qm6CVRsvf4Bqkn0H2bcEFOKb8qq"),
    (b"a", "$5$$QG6CCM7eJAxpUPcBpn0Z2K29NHtaI6Mk1fCpPrpjdj3"),
    (b"secret", "$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."),
    (b"p\xe4ssw\xf6rd", "$5$rounds=1000$x$uiyLdV2/OXJ0Ubc9LZey/XBvIWi8CvXtuTbKgwckmMD"),
    (&[b'k'; 255], "$5$rounds=1000$sixteen.chars/ok$co37Wmp5TS137wHS3xJUL5W17iP.s4K7OXqfSB/qL52"),
    (
        b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "$5$rounds=1234$aZ$DsA8Bms9Tp1ZaFjeqtfC95/59KldCtOg8zgEtG5y4pC",
    ),
    (b"a", "$5$rounds=5000$$QG6CCM7eJAxpUPcBpn0Z2K29NHtaI6Mk1fCpPrpjdj3"),
    (b"a", "$6$$ek/ucQg0IM8SQLyD2D66mpoW0vAF26eA0/pqoN95V.F0nZh1IFuENNo0OikacRkDBk5frNqziMYMdVVrQ0o.51"),
    (b"secret", "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz."),
    (
        b"p\xe4ssw\xf6rd",
        "$6$rounds=1000$x$rK20NeeI5RQIv5yDDBd4dpJqZGhEO.ZS1owA0sgv2t09q1wfn6yw/VYBOpcCN82lbhiLxxMlCdh3i4RgJBuyN0",
    ),
    (
        &[b'k'; 255],
        "$6$rounds=1000$sixteen.chars/ok$gsCmC4k2RE2mq.pVHRzKCiIh.qqJWIdO8ocmGd3YAbAg.mSGQMjJjNZnQGgW22blae4OYHh3DOfVZ00E1VO/7.",
    ),
    (
        b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "$6$rounds=1234$aZ$BtoFs0BvjUhyoC7HAS2iqfh5TeBW4Tx1F12Rm69BkRJfCLHeq8nCvbOicKoT6z1BoBmeS9AjydYdRaKQvGfrg.",
    ),
    (b"a", "$6$rounds=5000$$ek/ucQg0IM8SQLyD2D66mpoW0vAF26eA0/pqoN95V.F0nZh1IFuENNo0OikacRkDBk5frNqziMYMdVVrQ0o.51"),
    // Python 3.11's crypt.crypt, over libxcrypt 4.4.33.
    (b"secret", "abNANd1rDfiNc"),
    (b"secret", "$1$abcd$Oy8OD9LGKv7H9yIMreLNV1"),
    ("pässwörd".as_bytes(), "$1$abcd$a1HUZCqp2BuSX/9wGnlYL/"),
    (b"secret", "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"),
    ("pässwörd".as_bytes(), "$2b$04$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC"),
    (b"secret", "$5$rounds=1000$abcd$b8MCU4GEeZIekOy5ahQ8EWfT330hvYGVeDYkBxXBva."),
    (
        "pässwörd".as_bytes(),
        "$6$rounds=1000$abcd$NMtsh9W5TW80ciEpOlttrMvlkWYfMD0WVEtPM23h780d8wrDgh8uCkSa4byc9xK.ZkWLDTUhmwEC1VZosaFuv1",
    ),
    (
        b"secret",
        "$6$rounds=1000$abcdefghijklmnop$/ySzNKkDy6wawo9hTH6WxjPbiNMjvDjUNjja1ca1Iw8M6hvIP5521AJRYCq2LKFri/5fZ6KSUYfs/3ZzFVhh./",
    ),
    // OpenSSL 3.0's `openssl passwd`.
    (b"secret", "$1$s$g6MVG540q1A9FJTwmPkOH0"),
    (b"secret", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"),
    (b"secret", "$5$sixteen.chars/ok$JlZYmwdsB8bICPDWxEOMtO4otzP2faSrNgPihVIZ9ID"),
    (
        b"secret",
        "$6$sixteen.chars/ok$7peJHUsPxsuXkUecp/75AumE64xZbcojV6sQF5Rp2xWOllpe.5DE0nvCrFD7uiY1KhPX/zbORc5pfv08ciK.T0",
    ),
    (
        b"secret",
        "$6$rounds=1000$abc$MqEcPZUYRGGcOeq7PhMpfjfu/F0HrVEI0OlZBijWvO8mSG77iNUDP5MqFceKpJTBc8iITVtNyLiNTRNCxv6oh0",
    ),
    // Apache 2.4's `htpasswd`.
    (b"secret", "DDZ1qh4JMImhM"),
    (b"secret", "$2y$04$Oh3NyIx8mrbUXI7rJgGfZuASz3soSQhHVKaUg6FQbTt4lZ1FeQyMC"),
    ("pässwörd".as_bytes(), "$2y$04$mNBTIynlgTFGSvoCGUmVE.jsLXb5LBgrRIpbe2X1ixoFVmiBPRjFO"),
    (b"secret", "$5$rkvjkNK3wYUalCT9$fpL9I09p0dOkPMUO2e.KVL4uU54WVamJKns1jsIpjy1"),
    (b"secret", "$5$rounds=1000$jWQsKGtjU3PtBbH2$7cTqhjs9vGJzD0ncuD3.llg4f6L5lyOmLRMl8kEGkTD"),
    (
        b"secret",
        "$6$YA3V93t9kCtUioiF$lV9PUaG7bwrRyXrVx4640Pujc17FSI64OTAwkg/mOdHszOapCbJk.S.Vwfsk8dMr2lw3kU0t2UD7wkokjILVX.",
    ),
    (
        b"secret",
        "$6$rounds=1000$3zxRvF.7Nnfhjm3B$47tLAnYwV74YNzvueFm.8mZeUpQx8dQJUCH4bXp/HsQZExYQuYXiNBtTZXrZygprqpFuOlJy9dLwnABTVb5F20",
    ),
];

/// One of each form, cheap enough to be computed some thousand times. Made by Perl's crypt.
pub(super) const CHEAP: &[(&[u8], &str)] = &[
    (b"secret", "./17m29LFAflg"),
    (b"secret", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"),
    (b"a", "$1$$Ij31LCAysPM23KuPlm1wA/"),
    (b"a", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.Or5eqQN6A6ztu5YncVwomcVHwLiusrm"),
    (b"secret", "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"),
    (b"p\xe4ssw\xf6rd", "$5$rounds=1000$x$uiyLdV2/OXJ0Ubc9LZey/XBvIWi8CvXtuTbKgwckmMD"),
    (
        b"p\xe4ssw\xf6rd",
        "$6$rounds=1000$x$rK20NeeI5RQIv5yDDBd4dpJqZGhEO.ZS1owA0sgv2t09q1wfn6yw/VYBOpcCN82lbhiLxxMlCdh3i4RgJBuyN0",
    ),
];

/// Made by Perl's crypt, over libxcrypt 4.4.33.
pub(super) const SAFETY_OF_2A: &[(&[u8], &str)] = &[
    (b"\xff\xff\xa3", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.Ias9ej8rVP83dbQWecz/ebYDer7Sfq6"),
    (b"\xff\xa334\xff\xff\xff\xa3345", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.PmnZifXAyP7sqefVHxdDlg.V55p1d56"),
];
