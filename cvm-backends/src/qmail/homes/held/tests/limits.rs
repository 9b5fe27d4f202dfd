//! How much is held, by how many, and what there is instead.

use std::sync::atomic::AtomicU32;
use std::time::Instant;

use super::super::super::pause::PAUSE;
use super::*;

#[test]
fn who_cannot_hear_relies_on_nothing() {
    let rig = Rig::new();
    {
        let mut listener = rig.homes.held.listener.lock().expect("not poisoned");
        let Listener::Listening(watches) = &mut *listener else { panic!("it listens") };
        watches.lose_messages();
    }
    assert_eq!(rig.look_up(), (false, false));
    rig.wait();
    rig.place.set_mode("users/joe", 0o700);
    assert_eq!(rig.look_up(), (false, false));
    rig.wait();
    // While another hears, and where nobody can.
    let held = &rig.homes.held;
    let mut listener = held.listener.lock().expect("not poisoned");
    assert_eq!(rig.look_up(), (false, false));
    *listener = Listener::Deaf(Instant::now());
    drop(listener);
    for _ in 0..3 {
        assert_eq!(rig.look_up(), (false, false));
    }
}

#[test]
fn what_there_is_no_room_for_is_looked_at() {
    let rig = Rig::new();
    let held = &rig.homes.held;
    let with_watches = |run: &dyn Fn(&mut Watches)| match &mut *held.listener.lock().expect("not poisoned") {
        Listener::Listening(watches) => run(watches),
        _ => panic!("it listens"),
    };
    // The home and its file.
    with_watches(&|watches| watches.allow(2));
    let jim = rig.place.path("users/jim");
    let look_at_jim = || look_up(&rig.homes, &jim, &jim.join(".qmail-a")).0;
    for _ in 0..5 {
        assert!(!look_at_jim());
        assert_eq!(rig.look_up(), (true, true));
    }
    assert!(held.full.lasts());
    // What is watched anyway is held again.
    rig.place.make("users/new");
    rig.wait();
    held.mount_changes.fetch_add(1, Ordering::Relaxed);
    rig.wait();
    rig.place.remove("users/joe/.qmail-a");
    thread::sleep(PAUSE);
    for _ in 0..3 {
        look_at_jim();
    }
    assert!(look_at_jim(), "there is room again");
}

#[test]
fn what_nobody_needs_makes_room() {
    let rig = Rig::new();
    let (joe, jim) = (&rig.home, rig.place.path("users/jim"));
    match &mut *rig.homes.held.listener.lock().expect("not poisoned") {
        Listener::Listening(watches) => watches.allow(2),
        _ => panic!("it listens"),
    }
    // Nothing happens to the one that is moved away, and is watched.
    rig.place.rename("users/joe", "aside/joe");
    rig.place.make("users/joe");
    thread::sleep(A_WHILE);
    let is_held = || [joe, &jim].map(|home| look_up(&rig.homes, home, &home.join(".qmail-a")).0);
    for _ in 0..4 {
        is_held();
    }
    assert_eq!(is_held(), [true; 2]);
}

#[test]
fn what_was_mounted_while_nobody_could_hear_is_not_passed_over() {
    let rig = Rig::new();
    let held = &rig.homes.held;
    let before = held.mount_changes.load(Ordering::Relaxed);
    if let Listener::Listening(watches) = &mut *held.listener.lock().expect("not poisoned") {
        watches.lose_messages();
    }
    rig.homes.begin_round();
    assert_ne!(held.mount_changes.load(Ordering::Relaxed), before);
    // Somebody listens before anything is opened.
    *held.listener.lock().expect("not poisoned") = Listener::Deaf(Instant::now());
    let (seen, names) = (look(&rig.home).expect("a home"), Names::of_bytes(Arc::default()));
    held.homes.write().expect("not poisoned").clear();
    held.hold_home(rig.homes.round(), &rig.home, seen, &names);
    assert!(held.homes.read().expect("not poisoned").is_empty());
}

#[test]
fn what_could_not_be_held_is_tried_again_when_it_is_another() {
    let (place, homes) = (place(), Homes::default());
    let home = place.path("users/new");
    let look_up = || look_up(&homes, &home, &home.join(".qmail-a"));
    symlink("joe", &home).expect("a link");
    thread::sleep(A_WHILE);
    for _ in 0..4 {
        look_up();
    }
    assert!(found(&homes.held.homes, &home).expect("it is known").watch.is_none());
    place.remove("users/new");
    place.rename("users/joe", "users/new");
    thread::sleep(A_WHILE);
    for _ in 0..4 {
        look_up();
    }
    assert_eq!(look_up(), (true, true));
}

#[test]
fn what_is_over_makes_room() {
    let rig = Rig::new();
    let jim = rig.place.path("users/jim");
    match &mut *rig.homes.held.listener.lock().expect("not poisoned") {
        Listener::Listening(watches) => watches.allow(2),
        _ => panic!("it listens"),
    }
    // Nothing takes its place, and nobody asks for it.
    rig.place.rename("users/joe", "aside/joe");
    thread::sleep(A_WHILE);
    let is_held = || look_up(&rig.homes, &jim, &jim.join(".qmail-a")).0;
    for _ in 0..3 {
        is_held();
    }
    assert!(is_held());
}

#[test]
fn many_names_are_not_held_with_their_home() {
    let rig = Rig::new();
    rig.place.write(&format!("users/joe/.qmail-{}", "x".repeat(200)));
    rig.place.write(&format!("users/joe/.qmail-{}", "y".repeat(200)));
    rig.wait();
    let home = rig.homes.held.home(rig.homes.round(), &rig.home).expect("a home that is held");
    assert!(home.names.is_none());
}

#[test]
fn what_may_not_be_watched_is_not_tried_again() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let rig = Rig::new();
    rig.place.set_mode("", 0o755);
    rig.place.set_mode("users/joe/.qmail-a", 0o600);
    thread::sleep(A_WHILE);
    let homes = Homes::default();
    let look_up = || look_up(&homes, &rig.home, &rig.file);
    let tried = || found(&homes.held.files, &rig.file).map(|file| file.watch.is_some());
    crate::qmail::ids::with_rights_of(12_345, 12_345, || {
        for _ in 0..3 {
            look_up();
        }
        assert_eq!((look_up(), tried()), ((true, false), Some(false)));
    })
    .expect("root may");
}

#[test]
fn who_has_not_heard_everything_relies_on_nothing() {
    let rig = Rig::new();
    let mut watched = Vec::new();
    for number in 0..1000 {
        rig.place.make(&format!("aside/{number}"));
        let path = rig.place.path(&format!("aside/{number}"));
        let opened = Opened::in_folder(&rig.place.path("aside"), &path).expect("it opens");
        let Watching::Yes(watch) = rig.homes.held.watch(None, &opened) else { panic!("it is watched") };
        watched.push(watch);
    }
    (0..1000).for_each(|number| rig.place.write(&format!("aside/{number}/file")));
    assert_eq!(rig.look_up(), (false, false));
    rig.look_up();
    assert_eq!(rig.look_up(), (true, true));
    assert!(watched.iter().all(|watch| !watch.is_quiet()));
}

#[test]
fn a_file_of_another_home_is_not_held_for_this_one() {
    let (place, homes) = (place(), Homes::default());
    place.make("others");
    place.make("others/joe");
    place.write("others/joe/.qmail-a");
    place.set_mode("others/joe/.qmail-a", 0o600);
    let lead_to = |target| {
        symlink(target, place.path("new")).expect("a link");
        place.rename("new", "link");
    };
    lead_to("users");
    let (home, file) = (place.path("link/joe"), place.path("link/joe/.qmail-b"));
    thread::sleep(A_WHILE);
    for _ in 0..3 {
        look_up(&homes, &home, &file);
    }
    let file = place.path("link/joe/.qmail-a");
    homes.begin_round();
    assert!(homes.look(&home).expect("a home").is_held);
    // After the folder of homes was looked at in this round.
    lead_to("others");
    homes.held.hold_file(homes.round(), &file, look_at_file(&file).expect("a file"));
    lead_to("users");
    look_up(&homes, &home, &file);
    look_up(&homes, &home, &file);
    assert_eq!(look_up(&homes, &home, &file), (true, true));
}

#[test]
fn it_counts_for_the_round_it_was_heard_for() {
    let rig = Rig::new();
    let held = &rig.homes.held;
    let mut listener = held.listener.lock().expect("not poisoned");
    let Listener::Listening(watches) = &mut *listener else { panic!("it listens") };
    held.hear_for(7, watches).expect("nothing is lost");
    assert!(held.counts(7) && !held.counts(6) && !held.counts(8) && !held.counts(0));
}

#[test]
fn several_loops_rely_on_what_is_held() {
    let rig = Rig::new();
    let end = Instant::now() + Duration::from_millis(500);
    let ask = || {
        let (mut held, mut all) = (0, 0);
        while Instant::now() < end {
            rig.homes.begin_round();
            for _ in 0..16 {
                let found = rig.homes.look(&rig.home).expect("a home");
                held += u32::from(found.is_held);
                all += 1;
                rig.homes.names(&rig.home, found);
                rig.homes.look_at_file(&rig.file).expect("a file");
            }
        }
        (held, all)
    };
    thread::scope(|scope| {
        let asking: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        let counts = asking.into_iter().map(|asking| asking.join().expect("counts"));
        let (held, all) = counts.fold((0, 0), |(held, all), (more, of)| (held + more, all + of));
        assert!(held * 2 > all, "{held} of {all}");
    });
}

/// Whoever exchanges two folders all the time has none of their homes taken for that of the other.
#[test]
fn homes_in_folders_that_change_places_are_watched_where_they_were_seen() {
    const HOMES: usize = 200;
    let place = place();
    for side in ["a", "b"] {
        place.make(side);
        place.make(&format!("{side}/users"));
        (0..HOMES).for_each(|home| place.make(&format!("{side}/users/{home}")));
        symlink(side, place.path(&format!("to-{side}"))).expect("a link");
    }
    let (one, other) = (place.path("to-a"), place.path("to-b"));
    let exchange = || {
        let how = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(rustix::fs::CWD, &one, rustix::fs::CWD, &other, how).expect("exchanged");
    };
    let home = |number: usize| one.join(format!("users/{number}"));
    thread::sleep(A_WHILE);
    let mut held = 0;
    for _ in 0..10 {
        let (homes, has_ended) = (Homes::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !has_ended.load(Ordering::Relaxed) {
                    exchange();
                    exchange();
                }
            });
            for number in (0..4).flat_map(|_| 0..HOMES) {
                homes.begin_round();
                if let Ok(found) = homes.look(&home(number)) {
                    let _ = homes.names(&home(number), found);
                }
            }
            has_ended.store(true, Ordering::Relaxed);
        });
        homes.begin_round();
        held += (0..HOMES).filter(|&number| homes.look(&home(number)).expect("a home").is_held).count();
        for mode in [0o775, 0o755] {
            (0..HOMES).for_each(|number| place.set_mode(&format!("a/users/{number}"), mode));
            homes.begin_round();
            for number in 0..HOMES {
                assert_eq!(homes.look(&home(number)).expect("a home").seen.permissions(), mode);
            }
        }
        thread::sleep(A_WHILE);
    }
    assert!(held > 0);
}

#[test]
fn tables_have_an_end() {
    let (held, table) = (Held::default(), RwLock::default());
    for number in 0..3 * HELD_MAX {
        held.keep(&table, Path::new(&number.to_string()), number % 2 == 0, |is_good| *is_good);
        assert!(table.read().expect("not poisoned").len() <= HELD_MAX);
    }
    assert!(held.full.lasts());
}

#[test]
fn whoever_begins_a_round_is_told_what_happened_before() {
    const MODES: u32 = 0o200;
    let rig = Rig::new();
    // How many changes have begun, and how many are made.
    let (begun, made, has_ended) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    rig.place.set_mode("users/joe/.qmail-a", 0o400);
    let ask = || {
        let mut held = 0;
        while !has_ended.load(Ordering::Acquire) {
            let least = made.load(Ordering::Acquire);
            rig.homes.begin_round();
            if let Some(names) = rig.homes.names(&rig.home, rig.homes.look(&rig.home).expect("a home")) {
                assert!(names.may_have(b"-a"));
            }
            held += u32::from(rig.homes.held.file(rig.homes.round(), &rig.file).is_some());
            let mode = rig.homes.look_at_file(&rig.file).expect("a file").permissions();
            let most = begun.load(Ordering::Acquire);
            assert!((least..=most).any(|change| mode == 0o400 | (change % MODES)), "{mode:o} in {least}..={most}");
        }
        held
    };
    thread::scope(|scope| {
        let asking: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        for change in 1..2000 {
            begun.store(change, Ordering::Release);
            rig.place.set_mode("users/joe/.qmail-a", 0o400 | (change % MODES));
            made.store(change, Ordering::Release);
            if change % 16 == 0 {
                thread::sleep(Duration::from_micros(500));
            }
        }
        has_ended.store(true, Ordering::Release);
        let held: u32 = asking.into_iter().map(|asking| asking.join().expect("told what is there")).sum();
        assert!(held > 0, "it was held between the changes");
    });
}
