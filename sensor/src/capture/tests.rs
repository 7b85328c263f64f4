use super::pcap::ByteOrder::{self, Big, Little};
use super::writers::{PcapWriter, PcapngWriter, gzip, zstd};
use super::*;
use crate::time::SECOND;
use proptest::prelude::*;
use std::collections::HashMap;
use std::io::Cursor;
use std::path::PathBuf;

/// What tests look at in a packet.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    nanos: u64,
    link_type: u16,
    interface: u16,
    wire_length: u32,
    bytes: Vec<u8>,
}

fn read_all(source: &mut impl CaptureSource) -> (Vec<Seen>, Option<CaptureError>) {
    let mut seen = Vec::new();
    loop {
        match source.next() {
            Ok(Some(Packet { bytes, stamp, link_type, wire_length, interface, .. })) => {
                seen.push(Seen { nanos: stamp.0, link_type: link_type.0, interface, wire_length, bytes: bytes.to_vec() });
            }
            Ok(None) => return (seen, None),
            Err(error) => {
                assert!(source.next().unwrap().is_none(), "a source goes on after an error");
                return (seen, Some(error));
            }
        }
    }
}

fn read_in_blocks(bytes: &[u8], block: usize) -> (Vec<Seen>, Option<CaptureError>) {
    let options = ReadOptions { digest: false, block };
    match FileSource::from_reader("test", Cursor::new(bytes.to_vec()), options) {
        Ok(mut source) => read_all(&mut source),
        Err(error) => (Vec::new(), Some(error)),
    }
}

fn read(bytes: &[u8]) -> (Vec<Seen>, Option<CaptureError>) {
    read_in_blocks(bytes, 1 << 16)
}

fn read_well(bytes: &[u8]) -> Vec<Seen> {
    let (seen, error) = read(bytes);
    assert!(error.is_none(), "{}", error.unwrap());
    seen
}

fn info(bytes: &[u8]) -> CaptureInfo {
    let mut source = from_reader("test", Cursor::new(bytes.to_vec())).unwrap();
    read_all(&mut source);
    source.describe().remove(0)
}

fn seen(nanos: u64, link_type: u16, interface: u16, wire_length: u32, bytes: &[u8]) -> Seen {
    Seen { nanos, link_type, interface, wire_length, bytes: bytes.to_vec() }
}

/// Three packets of different sizes in every byte order and format; with them where each packet ends.
fn small_captures() -> Vec<(&'static str, Vec<u8>, Vec<usize>)> {
    let packets: [&[u8]; 3] = [b"first", b"", b"the third packet"];
    let mut captures = Vec::new();
    for order in [Little, Big] {
        for (name, magic) in [("pcap", 0xa1b2_c3d4), ("pcap ns", 0xa1b2_3c4d), ("pcap modified", 0xa1b2_cd34)] {
            let (mut writer, mut ends) = (PcapWriter::new(order, magic, 1), Vec::new());
            for (at, data) in packets.iter().enumerate() {
                writer = writer.packet(at as u32, 0, data);
                ends.push(writer.bytes.len());
            }
            captures.push((name, writer.bytes, ends));
        }
        let (mut writer, mut ends) = (PcapngWriter::new(order).interface(1, 0, &[(2, b"eth0")]), Vec::new());
        for (at, data) in packets.iter().enumerate() {
            writer = match at {
                0 => writer.enhanced(0, 1, data, &[(1, b"comment")]),
                1 => writer.block(0x0bad, &[0; 40]).obsolete(0, 1, data),
                _ => writer.simple(data.len() as u32, data),
            };
            ends.push(writer.bytes.len());
        }
        captures.push(("pcapng", writer.bytes, ends));
    }
    captures
}

#[test]
fn pcap_in_both_byte_orders_and_all_resolutions() {
    for order in [Little, Big] {
        for (magic, nanos, format) in [
            (0xa1b2_c3d4, 5_000, Format::PcapMicros),
            (0xa1b2_3c4d, 5, Format::PcapNanos),
            (0xa1b2_cd34, 5_000, Format::PcapModified),
        ] {
            // The upper half of the link type tells of frame check sequences and is no part of it.
            let bytes = PcapWriter::new(order, magic, 0x4400_0071).packet(7, 5, b"abc").packet(u32::MAX, 0, b"").bytes;
            let late = u64::from(u32::MAX) * SECOND;
            assert_eq!(read_well(&bytes), [seen(7 * SECOND + nanos, 113, 0, 7, b"abc"), seen(late, 113, 0, 4, b"")]);
            let info = info(&bytes);
            assert_eq!((info.format, info.packets, info.bytes_read), (Some(format), 2, bytes.len() as u64));
            assert_eq!(info.interfaces[0].link_type, LinkType::LINUX_SLL);
        }
    }
}

#[test]
fn an_old_pcap_has_its_lengths_the_other_way_round() {
    let mut bytes = PcapWriter::ethernet().packet(1, 0, b"abcd").bytes;
    bytes[6] = 3;
    bytes[32..40].copy_from_slice(&[60, 0, 0, 0, 4, 0, 0, 0]);
    assert_eq!(read_well(&bytes), [seen(SECOND, 1, 0, 60, b"abcd")]);
}

#[test]
fn pcapng_with_many_interfaces_sections_and_byte_orders() {
    let west: i64 = -3600;
    let bytes = PcapngWriter::new(Little)
        .interface(1, 0, &[(2, b"eth0\x1b[2J"), (3, b"city hall")])
        .interface(270, 0, &[(9, &[9])])
        .enhanced(1, 8_000_000_001, b"lora", &[])
        .block(4, &[0; 8])
        .enhanced(0, 9_000_000, b"ether", &[(1, b"why"), (4, &[0; 8])])
        .statistics(0, 77)
        .section(Big, &[(1, b"second section")])
        .interface(101, 3, &[(9, &[0x80 | 10]), (14, &west.to_be_bytes())])
        .interface(1, 0, &[(2, b"eth0\x1b[2J"), (3, b"city hall")])
        .enhanced(0, 7200 << 10 | 512, b"raw", &[])
        .obsolete(1, 10_000_000, b"old")
        .simple(5, b"sim")
        .bytes;
    let expected = [
        seen(8 * SECOND + 1, 270, 1, 8, b"lora"),
        seen(9 * SECOND, 1, 0, 9, b"ether"),
        seen(3600 * SECOND + SECOND / 2, 101, 2, 7, b"raw"),
        seen(10 * SECOND, 1, 0, 7, b"old"),
        seen(10 * SECOND, 101, 2, 5, b"sim"),
    ];
    assert_eq!(read_well(&bytes), expected);
    let info = info(&bytes);
    assert_eq!(info.comments, ["second section"]);
    assert_eq!(info.interfaces.len(), 3);
    assert_eq!((info.interfaces[0].name.as_str(), info.interfaces[0].description.as_str()), ("eth0\u{fffd}[2J", "city hall"));
    assert_eq!((info.interfaces[0].dropped, info.interfaces[2].dropped), (Some(77), None));
}

#[test]
fn time_resolutions_of_pcapng() {
    let stamp = |resolution: u8, units: u64| {
        let bytes = PcapngWriter::new(Little).interface(1, 0, &[(9, &[resolution])]).enhanced(0, units, b"", &[]).bytes;
        read_well(&bytes)[0].nanos
    };
    assert_eq!(stamp(0, 3), 3 * SECOND);
    assert_eq!(stamp(3, 3), 3_000_000);
    assert_eq!(stamp(6, 3), 3_000);
    assert_eq!(stamp(9, 3), 3);
    assert_eq!(stamp(12, 3_999), 3);
    assert_eq!(stamp(127, u64::MAX), 1);
    assert_eq!(stamp(0x80, 3), 3 * SECOND);
    assert_eq!(stamp(0x80 | 20, 1 << 20), SECOND);
    assert_eq!(stamp(0x80 | 127, u64::MAX), 0);
    assert_eq!(stamp(0, u64::MAX), u64::MAX);
    let before_1970 = PcapngWriter::new(Little).interface(1, 0, &[(14, &i64::MIN.to_le_bytes())]).enhanced(0, 5, b"", &[]).bytes;
    assert_eq!(read_well(&before_1970)[0].nanos, 0);
}

#[test]
fn a_file_cut_anywhere_gives_the_packets_before_the_cut() {
    for (name, whole, ends) in small_captures() {
        let all = read_well(&whole);
        assert_eq!(all.len(), ends.len(), "{name}");
        for cut in 0..whole.len() {
            for block in [1, 1 << 16] {
                let (seen, error) = read_in_blocks(&whole[..cut], block);
                let complete = ends.iter().filter(|&&end| end <= cut).count();
                assert_eq!(seen, all[..complete], "{name} cut at {cut}");
                let Some(error) = error else { continue };
                assert!(error.offset <= cut as u64, "{error}");
                assert_eq!(error.packets, complete as u64);
                assert!(error.to_string().starts_with("test: "), "{error}");
                match (cut, &error.fault) {
                    (0, Fault::Empty) | (1..4, Fault::Foreign { .. }) | (4.., Fault::CutShort { .. }) => {}
                    (_, other) => panic!("{name} cut at {cut}: {other}"),
                }
            }
        }
        for &end in &ends {
            assert!(read(&whole[..end]).1.is_none(), "{name}: a cut between packets is no damage");
        }
    }
}

#[test]
fn a_compressed_file_cut_anywhere_gives_a_beginning_of_its_packets() {
    for (_, whole, _) in small_captures() {
        let all = read_well(&whole);
        for (name, packed) in [("gzip", gzip(&whole)), ("zstd", zstd(&whole))] {
            assert_eq!(read_well(&packed), all, "{name}");
            for cut in 0..packed.len() {
                let (seen, error) = read_in_blocks(&packed[..cut], 7);
                assert_eq!(seen, all[..seen.len()], "{name} cut at {cut}");
                let fault = error.expect("a cut compressed file is damaged").fault;
                assert!(
                    matches!(fault, Fault::Empty | Fault::Foreign { .. } | Fault::PackedCutShort(_)),
                    "{name} cut at {cut}: {fault}"
                );
            }
        }
    }
}

#[test]
fn compression_in_many_pieces_and_twice_over() {
    let (_, whole, _) = small_captures().remove(0);
    let all = read_well(&whole);
    let (front, back) = whole.split_at(50);
    let skippable = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let zeros = [0; 600];
    for (packed, layers) in [
        ([gzip(front), gzip(b""), gzip(back)].concat(), vec![Compression::Gzip]),
        ([gzip(&whole), zeros.to_vec()].concat(), vec![Compression::Gzip]),
        ([&skippable[..], &zstd(front), &zstd(b""), &skippable, &zstd(back)].concat(), vec![Compression::Zstd]),
        (gzip(&zstd(&whole)), vec![Compression::Gzip, Compression::Zstd]),
        (zstd(&gzip(&whole)), vec![Compression::Zstd, Compression::Gzip]),
    ] {
        assert_eq!(read_in_blocks(&packed, 5).0, all);
        assert_eq!(read_well(&packed), all);
        assert_eq!(info(&packed).compression, layers);
    }
    assert!(matches!(read(&gzip(&gzip(&gzip(&whole)))).1.unwrap().fault, Fault::Nested));
}

/// Packets that do not compress, over several blocks of either format.
fn large_capture() -> Vec<u8> {
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..700)
        .fold(PcapWriter::ethernet(), |writer, at| writer.packet(at, 0, &(0..1000).map(|_| noise()).collect::<Vec<_>>()))
        .bytes
}

#[test]
fn corrupt_compressed_data_lose_nothing_that_was_unpacked_before() {
    let whole = large_capture();
    let all = read_well(&whole);
    let half = whole.len() / 2;
    let (front, back) = whole.split_at(half);
    for (name, sound, mut broken) in [("gzip", gzip(front), gzip(back)), ("zstd", zstd(front), zstd(back))] {
        // A reserved block type where the second piece's first block begins.
        let body = if name == "gzip" { broken.len() - deflate_length(back) - 8 } else { 6 };
        broken[body] |= 0b110;
        let (seen, error) = read(&[sound, broken].concat());
        let error = error.unwrap();
        assert_eq!(seen, all[..(half - 24) / 1016], "{name}: {error}");
        assert!(error.unpacked && matches!(error.fault, Fault::Unpack { .. }), "{name}: {error}");
    }
}

fn deflate_length(bytes: &[u8]) -> usize {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().len()
}

#[test]
fn a_zstd_block_is_handed_out_before_the_damage_in_the_next() {
    let whole = large_capture();
    let mut packed = zstd(&whole);
    // Frame header: magic, descriptor, window. Then raw blocks of 128 KB, each behind three bytes.
    let second = 6 + 3 + (1 << 17);
    assert_eq!(packed[6] & 0b110, 0, "the data were expected not to compress");
    packed[second] |= 0b110;
    let (seen, error) = read(&packed);
    assert_eq!(seen.len(), ((1 << 17) - 24) / 1016, "{}", error.unwrap());
}

#[test]
fn checksums_are_verified() {
    let (_, whole, _) = small_captures().remove(0);
    for (name, mut packed, at) in [("gzip", gzip(&whole), 8), ("zstd", zstd(&whole), 1)] {
        let place = packed.len() - at;
        packed[place] ^= 1;
        let (seen, error) = read(&packed);
        assert!(seen.len() <= 3 && matches!(error.unwrap().fault, Fault::Unpack { .. }), "{name}");
    }
}

#[test]
fn a_zstd_window_above_the_bound_is_refused_with_a_remedy() {
    // Magic, a descriptor with window, window exponent 10 + 21, then a raw block.
    let packed = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0][..], &[0; 64]].concat();
    let error = read(&packed).1.unwrap();
    assert!(matches!(error.fault, Fault::ZstdWindow), "{error}");
    assert!(error.remedy().contains("--long=31"));
}

#[test]
fn foreign_files_are_named_with_a_remedy() {
    for (bytes, what, remedy) in [
        (&b"snoop\0\0\0\0\0\0\x02"[..], "snoop", "tshark"),
        (b"PK\x03\x04\x14\0", "zip", "Unpack"),
        (b"12:00:01.1 IP 10.0.0.1 > 10.0.0.2", "text", "tcpdump -w"),
        (b"\0\0\0\0\0\0\0\0\0", "zeros", "never written"),
        (b"BZh91AY&SY", "bzip2", "bunzip2"),
        (b"\xde\xad\xbe\xef\x01\x02\x03\x04", "unknown", "Check"),
        (b"\x1f", "unknown", "Check"),
    ] {
        let error = read(bytes).1.unwrap();
        assert!(matches!(error.fault, Fault::Foreign { .. }) && error.to_string().contains(what), "{error}");
        assert!(error.remedy().contains(remedy), "{error}");
    }
    let mut tar = vec![b'x'; 512];
    tar[100] = 0;
    tar[257..262].copy_from_slice(b"ustar");
    assert!(read(&tar).1.unwrap().to_string().contains("tar"));
    assert!(read(&gzip(b"hello there")).1.unwrap().to_string().contains("text"));
    assert!(matches!(read(&gzip(b"")).1.unwrap().fault, Fault::Empty));
}

#[test]
fn lengths_beyond_the_bounds_end_the_capture() {
    let good = || PcapWriter::ethernet().packet(1, 0, b"good");
    let largest = good().packet(2, 0, &vec![7; MAX_PACKET]).packet(3, 0, b"after");
    let (seen, error) = read(&largest.bytes);
    assert_eq!((seen.len(), error.is_none()), (3, true));
    let (seen, error) = read(&good().packet(2, 0, &vec![7; MAX_PACKET + 1]).bytes);
    let error = error.unwrap();
    assert_eq!((seen.len(), error.offset), (1, 44));
    assert!(error.to_string().contains("1048577"), "{error}");

    let good = || PcapngWriter::new(Little).interface(1, 0, &[]).enhanced(0, 1, b"good", &[]);
    let before = good().bytes.len() as u64;
    let largest =
        good().enhanced(0, 2, &vec![7; MAX_PACKET], &[]).block(9, &vec![0; (16 << 20) - 12]).enhanced(0, 3, b"after", &[]);
    assert_eq!(read_well(&largest.bytes).len(), 3);
    for (bytes, says) in [
        (good().enhanced(0, 2, &vec![7; MAX_PACKET + 4], &[]).bytes, "length of a packet"),
        (good().block(6, &vec![0; MAX_BLOCK]).bytes, "2097152"),
        (good().block(9, &vec![0; 16 << 20]).bytes, "16777216"),
        (good().block(6, &[0; 16]).bytes, "too little"),
        (good().block(3, &[]).bytes, "too little"),
        (good().enhanced(1, 1, b"", &[]).bytes, "not described"),
        (good().section(Little, &[]).simple(1, b"x").bytes, "not described"),
    ] {
        let (seen, error) = read(&bytes);
        let error = error.unwrap();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(seen.len(), 1);
        assert!(error.offset >= before, "{error}");
    }
}

#[test]
fn more_interfaces_than_are_kept() {
    let many = (0..=MAX_INTERFACES)
        .fold(PcapngWriter::new(Little), |writer, at| writer.interface(1, 0, &[(2, format!("veth{at}").as_bytes())]));
    assert!(read(&many.bytes).1.unwrap().to_string().contains("interfaces"));
    // Concatenated captures of the same interface keep one.
    let again = (0..=MAX_INTERFACES).fold(PcapngWriter::new(Little), |writer, _| {
        writer.section(Little, &[(1, b"x")]).interface(1, 0, &[]).enhanced(0, 0, b"x", &[])
    });
    let info = info(&again.bytes);
    assert_eq!((info.interfaces.len(), info.packets, info.comments.len()), (1, MAX_INTERFACES as u64 + 1, MAX_COMMENTS));
}

#[test]
fn a_block_whose_lengths_disagree_ends_the_capture() {
    let mut bytes =
        PcapngWriter::new(Little).interface(1, 0, &[]).enhanced(0, 1, b"good", &[]).enhanced(0, 2, b"bad!", &[]).bytes;
    let end = bytes.len();
    bytes[end - 4] = 0;
    let (seen, error) = read(&bytes);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        error.unwrap().to_string().split(". ").next(),
        Some("test: at byte 84, after 1 packet: a block's two lengths disagree: 36 in front, 0 behind")
    );
}

#[test]
fn a_section_of_an_unknown_version_is_stepped_over_and_told() {
    let section = || PcapngWriter::new(Little).interface(1, 0, &[]).enhanced(0, 1, b"data", &[]).bytes;
    let mut foreign = section();
    foreign[12] = 2;
    let bytes = [section(), foreign, section()].concat();
    assert_eq!(read_well(&bytes).len(), 2);
    assert_eq!(info(&bytes).sections_unread, 1);
}

#[test]
fn captures_merge_by_time_and_then_by_argument() {
    let capture = |stamps: &[u32], tag: &[u8]| {
        let writer = stamps.iter().fold(PcapWriter::ethernet(), |writer, &stamp| writer.packet(stamp, 0, tag));
        from_reader("test", Cursor::new(writer.bytes)).unwrap()
    };
    let mut merge =
        Merge::new([capture(&[2, 4, 4, 9], b"a"), capture(&[1, 4, 3, 4], b"b"), capture(&[], b"c"), capture(&[4], b"d")]);
    let mut order = Vec::new();
    loop {
        let peeked = merge.peek().unwrap();
        let Some(packet) = merge.next().unwrap() else { break };
        assert_eq!(peeked, Some(packet.stamp));
        assert_eq!(packet.bytes, [b"abcd"[usize::from(packet.source)]]);
        order.push((packet.stamp.seconds(), packet.source));
    }
    // The second capture goes backwards once, and keeps its own order.
    assert_eq!(order, [(1, 1), (2, 0), (4, 0), (4, 0), (4, 1), (3, 1), (4, 1), (4, 3), (9, 0)]);
    assert_eq!(merge.peek().unwrap(), None);
    assert!(merge.damage().is_empty());
}

#[test]
fn a_damaged_capture_loses_its_rest_and_the_others_go_on() {
    let folder = TestFolder::new("damaged");
    let good = folder.write("good.pcap", &PcapWriter::ethernet().packet(1, 0, b"1").packet(3, 0, b"3").packet(5, 0, b"5").bytes);
    let mut cut = PcapWriter::ethernet().packet(2, 0, b"2").packet(4, 0, b"4").bytes;
    cut.truncate(cut.len() - 1);
    let cut = folder.write("cut.pcap", &cut);
    let (empty, missing) = (folder.write("empty.pcap", b""), folder.0.join("missing.pcap"));
    for repeat in [1, 30] {
        let mut paths = vec![good.clone(), cut.clone(), empty.clone(), missing.clone(), folder.0.clone()];
        paths.resize(4 + repeat, folder.0.clone());
        let mut merge = Merge::open(&paths, ReadOptions::default());
        let order: Vec<_> = read_all(&mut merge).0.into_iter().map(|packet| packet.bytes[0]).collect();
        assert_eq!(order, *b"1235");
        let damage: Vec<_> = merge.damage().iter().map(|damage| (damage.source, damage.error.packets)).collect();
        assert_eq!((damage[..2].to_vec(), damage.len()), (vec![(2, 0), (3, 0)], 3 + repeat));
        assert_eq!(damage.last(), Some(&(1, 1)));
        assert!(merge.damage()[2].error.to_string().contains("folder"), "{}", merge.damage()[2].error);
        let infos = merge.describe();
        assert_eq!((infos[0].name.as_str(), infos[0].packets, infos[3].name.as_str()), ("good.pcap", 3, "missing.pcap"));
        assert_eq!(Some(merge.bytes_read()), merge.size(), "progress reaches its end");
    }
}

#[test]
fn one_damaged_capture_alone() {
    let mut bytes = PcapWriter::ethernet().packet(2, 0, b"2").packet(4, 0, b"4").bytes;
    bytes.pop();
    let mut merge = Merge::new([from_reader("test", Cursor::new(bytes)).unwrap()]);
    assert_eq!((merge.peek().unwrap(), read_all(&mut merge).0.len()), (Some(Timestamp(2 * SECOND)), 1));
    assert_eq!(merge.damage().len(), 1);
}

#[test]
fn a_ring_of_many_files_is_read_with_few_open() {
    let folder = TestFolder::new("ring");
    let paths: Vec<_> = (0..40u32)
        .map(|at| {
            let (first, second) = (100 - at, 100 - at);
            folder.write(
                &format!("{at}.pcap"),
                &PcapWriter::ethernet().packet(first, 0, &[at as u8]).packet(second, 1, &[at as u8]).bytes,
            )
        })
        .collect();
    let mut merge = Merge::open(&paths, ReadOptions { digest: true, ..ReadOptions::default() });
    std::fs::remove_file(&paths[20]).unwrap();
    let order: Vec<_> = read_all(&mut merge).0.into_iter().map(|packet| u32::from(packet.bytes[0])).collect();
    let expected: Vec<_> = (0..40).rev().filter(|&at| at != 20).flat_map(|at| [at, at]).collect();
    assert_eq!(order, expected);
    assert_eq!(merge.damage().iter().map(|damage| damage.source).collect::<Vec<_>>(), [20], "the file that went away meanwhile");
    assert_eq!(merge.describe()[7].digest, Some(digest_file(&paths[7]).unwrap()));
}

#[test]
fn the_digest_is_that_of_the_file_as_stored() {
    let folder = TestFolder::new("digest");
    let whole = large_capture();
    let mut torn = whole.clone();
    torn[50_000..50_100].fill(0xff);
    for (name, bytes) in [("plain", whole.clone()), ("packed", gzip(&zstd(&whole))), ("torn", torn)] {
        let path = folder.write(name, &bytes);
        let mut source = FileSource::open(&path, ReadOptions { digest: true, block: 999 }).unwrap();
        read_all(&mut source);
        let (one_pass, alone) = (source.describe()[0].digest, digest_file(&path).unwrap());
        assert_eq!(one_pass, Some(alone), "{name}");
        assert_eq!(source.describe()[0].bytes_read, bytes.len() as u64, "{name}");
    }
    let known = folder.write("abc", b"abc");
    assert_eq!(digest_file(&known).unwrap().to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn a_reader_that_fails_keeps_what_it_gave() {
    struct Failing(Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(std::io::Error::other("the disk is gone")),
                n => Ok(n),
            }
        }
    }
    let bytes = PcapWriter::ethernet().packet(2, 0, b"2").bytes;
    for bytes in [bytes.clone(), gzip(&bytes)] {
        let mut source = from_reader("test", Failing(Cursor::new(bytes))).unwrap();
        let (seen, error) = read_all(&mut source);
        assert_eq!(seen.len(), 1);
        assert!(error.unwrap().to_string().contains("the disk is gone"));
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), flavour in 0usize..6) {
        let section = PcapngWriter::new(Big).interface(1, 0, &[]).bytes;
        let heads: [&[u8]; 6] = [b"", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", &section];
        fuzz(&[heads[flavour], &bytes].concat());
    }

    #[test]
    fn damaged_captures_never_panic(which in 0usize..8, at in any::<prop::sample::Index>(), value in any::<u8>(), packing in 0u8..3) {
        let (_, whole, _) = small_captures().remove(which);
        let mut bytes = match packing { 0 => whole, 1 => gzip(&whole), _ => zstd(&whole) };
        let at = at.index(bytes.len());
        bytes[at] = value;
        fuzz(&bytes);
    }

    #[test]
    fn the_size_of_reads_changes_nothing(stamps in prop::collection::vec((any::<u32>(), 0usize..2000), 0..20), block in 1usize..3000) {
        let ng = stamps.iter().fold(PcapngWriter::new(Big).interface(1, 0, &[]), |writer, &(stamp, size)| writer.enhanced(0, stamp.into(), &vec![9; size], &[]));
        let legacy = stamps.iter().fold(PcapWriter::ethernet(), |writer, &(stamp, size)| writer.packet(stamp, 0, &vec![9; size]));
        for bytes in [ng.bytes, legacy.bytes] {
            let whole = read_well(&bytes);
            prop_assert_eq!(whole.len(), stamps.len());
            prop_assert_eq!(&read_in_blocks(&bytes, block).0, &whole);
            prop_assert_eq!(&read_in_blocks(&gzip(&bytes), block).0, &whole);
            prop_assert_eq!(&read_in_blocks(&zstd(&bytes), block).0, &whole);
        }
    }
}

/// A folder for one test, removed at its end.
struct TestFolder(PathBuf);

impl TestFolder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("citytap-capture-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Packets as the pcap-parser crate sees them: captured bytes and link type; `None` where it fails.
fn second_opinion(bytes: &[u8]) -> Option<Vec<(Vec<u8>, i32)>> {
    use pcap_parser::traits::PcapNGPacketBlock;
    use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};
    let mut reader = create_reader(1 << 21, Cursor::new(bytes)).ok()?;
    let (mut packets, mut interfaces, mut only) = (Vec::new(), Vec::new(), 0);
    loop {
        match reader.next() {
            Ok((length, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => only = header.network.0,
                    PcapBlockOwned::Legacy(packet) => packets.push((packet.data.to_vec(), only)),
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => interfaces.clear(),
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        interfaces.push((interface.linktype.0, interface.snaplen as usize))
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        packets.push((packet.packet_data().to_vec(), interfaces[packet.if_id as usize].0));
                    }
                    PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                        // It takes the padding of a packet that the snap length cut for data.
                        let (link_type, snap_length) = interfaces[0];
                        let kept = if snap_length == 0 { usize::MAX } else { snap_length };
                        packets.push((packet.packet_data().iter().take(kept).copied().collect(), link_type));
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(length);
            }
            Err(PcapError::Eof) => return Some(packets),
            Err(PcapError::Incomplete(_)) => reader.refill().ok()?,
            Err(_) => return None,
        }
    }
}

#[test]
fn the_captures_from_outside_are_read_to_their_end() {
    let Some(folder) = std::env::var_os("CITYTAP_CAPTURES").filter(|top| !top.is_empty()).map(PathBuf::from) else {
        eprintln!("CITYTAP_CAPTURES is not set: nothing from outside was read");
        return;
    };
    let index = std::fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let mut lines = index.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header: HashMap<_, _> = lines.next().unwrap().into_iter().zip(0..).collect();
    let (mut files, mut packets, mut compared) = (0, 0, 0);
    for line in lines {
        let [file, count, sha] =
            ["file", "packets", "sha256"].map(|column| line.get(header[column]).copied().unwrap_or_default());
        let mut source = FileSource::open(&folder.join(file), ReadOptions { digest: true, ..ReadOptions::default() }).unwrap();
        let (seen, error) = read_all(&mut source);
        assert!(error.is_none(), "{}", error.unwrap());
        let info = source.describe().remove(0);
        if !sha.is_empty() {
            assert_eq!(info.digest.unwrap().to_string(), sha, "{file}");
        }
        // tshark gives up on some files, whose count the index does not know.
        if let Ok(count) = count.parse::<usize>() {
            assert_eq!(seen.len(), count, "{file}");
        }
        let bytes = std::fs::read(folder.join(file)).unwrap();
        if let Some(theirs) = second_opinion(&bytes).filter(|theirs| theirs.len() == seen.len()) {
            let ours = seen.iter().map(|packet| (packet.bytes.clone(), i32::from(packet.link_type)));
            assert!(theirs.into_iter().eq(ours), "{file}");
            compared += 1;
        }
        files += 1;
        packets += seen.len();
    }
    eprintln!("{files} files, {packets} packets, {compared} files compared with pcap-parser");
}

#[test]
fn pcap_parser_agrees_on_what_it_knows() {
    for (name, bytes, _) in small_captures() {
        let Some(theirs) = second_opinion(&bytes) else { continue };
        let ours: Vec<_> = read_well(&bytes).into_iter().map(|packet| (packet.bytes, i32::from(packet.link_type))).collect();
        // It knows no obsolete packet blocks.
        let expected: Vec<_> =
            ours.into_iter().enumerate().filter(|(at, _)| name != "pcapng" || *at != 1).map(|(_, packet)| packet).collect();
        assert_eq!(theirs, expected, "{name}");
    }
}

#[test]
fn byte_orders_are_told_by_the_file_alone() {
    let orders: [ByteOrder; 2] = [Little, Big];
    let read: Vec<_> =
        orders.map(|order| read_well(&PcapngWriter::new(order).interface(276, 0, &[]).enhanced(0, 77, b"x", &[]).bytes)).into();
    assert_eq!(read[0], read[1]);
}
