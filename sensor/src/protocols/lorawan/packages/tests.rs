use super::*;

fn check(port: u8, link: Link, bytes: &[u8], expected: &str) {
    let package = Package::on_port(port).unwrap();
    let walk = parse(package, link, bytes);
    assert!(walk.complete, "{expected}");
    assert_eq!(serde_json::to_string(walk.commands.as_slice()).unwrap(), expected);
}

#[test]
fn versions_are_asked_the_same_way_in_all_packages() {
    for port in 200..=203 {
        check(port, Link::Down, &[0], r#"[{"name":"PackageVersionReq","cid":0}]"#);
        check(port, Link::Up, &[0, 2, 1], r#"[{"name":"PackageVersionAns","cid":0,"package_identifier":2,"package_version":1}]"#);
    }
    assert_eq!(Package::on_port(204), None);
}

#[test]
fn clock_synchronization() {
    check(
        202,
        Link::Up,
        &[1, 4, 3, 2, 1, 0x13],
        r#"[{"name":"AppTimeReq","cid":1,"token":3,"device_time_s":16909060,"answer_required":true}]"#,
    );
    check(
        202,
        Link::Down,
        &[1, 0xff, 0xff, 0xff, 0xff, 3],
        r#"[{"name":"AppTimeAns","cid":1,"token":3,"time_correction_s":-1}]"#,
    );
    check(
        202,
        Link::Down,
        &[2, 7, 3, 2],
        r#"[{"name":"DeviceAppTimePeriodicityReq","cid":2,"period":7},{"name":"ForceDeviceResyncReq","cid":3,"transmissions":2}]"#,
    );
    check(202, Link::Up, &[2, 1, 1, 0, 0, 0], r#"[{"name":"DeviceAppTimePeriodicityAns","cid":2,"status":1,"device_time_s":1}]"#);
}

#[test]
fn a_firmware_image_in_fragments() {
    let setup = r#"[{"name":"FragSessionSetupReq","cid":2,"frag_index":1,"fragments":300,"fragment_size":50,"padding":7,"descriptor":1,"mc_group_mask":2}]"#;
    check(201, Link::Down, &[2, 0x12, 0x2c, 0x01, 50, 0, 7, 1, 0, 0, 0], setup);
    check(201, Link::Down, &[2, 0x12, 0x2c, 0x01, 50, 0, 7, 1, 0, 0, 0, 9, 0, 1, 2, 3, 4], setup);
    check(201, Link::Up, &[2, 0x40], r#"[{"name":"FragSessionSetupAns","cid":2,"status":64,"frag_index":1}]"#);
    check(
        201,
        Link::Down,
        &[8, 0x05, 0x40, 1, 2, 3],
        r#"[{"name":"DataFragment","cid":8,"frag_index":1,"fragments":5,"fragment_size":3}]"#,
    );
    check(201, Link::Down, &[1, 3], r#"[{"name":"FragSessionStatusReq","cid":1,"frag_index":1}]"#);
    check(
        201,
        Link::Up,
        &[1, 5, 0x40, 2, 0],
        r#"[{"name":"FragSessionStatusAns","cid":1,"status":0,"frag_index":1,"fragments":5,"missing":2}]"#,
    );
    check(201, Link::Down, &[3, 1], r#"[{"name":"FragSessionDeleteReq","cid":3,"frag_index":1}]"#);
    check(201, Link::Up, &[3, 5], r#"[{"name":"FragSessionDeleteAns","cid":3,"status":5,"frag_index":1}]"#);
    check(201, Link::Up, &[4, 1], r#"[{"name":"FragDataBlockReceivedReq","cid":4,"status":1,"frag_index":1}]"#);
    check(201, Link::Down, &[4, 1], r#"[{"name":"FragDataBlockReceivedAns","cid":4,"frag_index":1}]"#);
}

#[test]
fn a_multicast_group_without_its_key() {
    let mut setup = vec![2, 1, 4, 3, 2, 1];
    setup.extend([0xee; 16]);
    setup.extend([0, 0, 0, 0, 0xff, 0, 0, 0]);
    check(
        200,
        Link::Down,
        &setup,
        r#"[{"name":"McGroupSetupReq","cid":2,"mc_group":1,"mc_addr":16909060,"min_f_count":0,"max_f_count":255}]"#,
    );
    check(200, Link::Up, &[2, 1], r#"[{"name":"McGroupSetupAns","cid":2,"status":1,"mc_group":1}]"#);
    check(200, Link::Down, &[1, 0x0f], r#"[{"name":"McGroupStatusReq","cid":1,"mc_group_mask":15}]"#);
    check(
        200,
        Link::Up,
        &[1, 0x23, 0, 1, 0, 0, 0, 1, 2, 0, 0, 0],
        r#"[{"name":"McGroupStatusAns","cid":1,"status":35,"mc_group_mask":3,"mc_addr":1}]"#,
    );
    check(200, Link::Down, &[3, 1], r#"[{"name":"McGroupDeleteReq","cid":3,"mc_group":1}]"#);
    check(200, Link::Up, &[3, 5], r#"[{"name":"McGroupDeleteAns","cid":3,"status":5,"mc_group":1}]"#);
    check(
        200,
        Link::Down,
        &[4, 1, 1, 0, 0, 0, 8, 0xd2, 0xad, 0x84, 3],
        r#"[{"name":"McClassCSessionReq","cid":4,"mc_group":1,"session_time_s":1,"session_timeout":8,"frequency_hz":869525000,"data_rate":3}]"#,
    );
    check(
        200,
        Link::Up,
        &[4, 1, 10, 0, 0],
        r#"[{"name":"McClassCSessionAns","cid":4,"status":1,"mc_group":1,"time_to_start_s":10}]"#,
    );
    check(200, Link::Up, &[4, 0x05], r#"[{"name":"McClassCSessionAns","cid":4,"status":5,"mc_group":1}]"#);
    check(
        200,
        Link::Down,
        &[5, 1, 1, 0, 0, 0, 0x28, 0xd2, 0xad, 0x84, 3],
        r#"[{"name":"McClassBSessionReq","cid":5,"mc_group":1,"session_time_s":1,"session_timeout":8,"periodicity":2,"frequency_hz":869525000,"data_rate":3}]"#,
    );
    check(200, Link::Up, &[5, 0x05], r#"[{"name":"McClassBSessionAns","cid":5,"status":5,"mc_group":1}]"#);
}

#[test]
fn firmware_versions_and_reboots() {
    check(203, Link::Down, &[1, 4], r#"[{"name":"DevVersionReq","cid":1},{"name":"DevUpgradeImageReq","cid":4}]"#);
    check(
        203,
        Link::Up,
        &[1, 1, 0, 0, 0, 2, 0, 0, 0],
        r#"[{"name":"DevVersionAns","cid":1,"firmware_version":1,"hardware_version":2}]"#,
    );
    check(203, Link::Down, &[2, 9, 0, 0, 0], r#"[{"name":"DevRebootTimeReq","cid":2,"reboot_time_s":9}]"#);
    check(203, Link::Up, &[2, 9, 0, 0, 0], r#"[{"name":"DevRebootTimeAns","cid":2,"reboot_time_s":9}]"#);
    check(203, Link::Down, &[3, 9, 0, 0], r#"[{"name":"DevRebootCountdownReq","cid":3,"countdown_s":9}]"#);
    check(203, Link::Up, &[3, 9, 0, 0], r#"[{"name":"DevRebootCountdownAns","cid":3,"countdown_s":9}]"#);
    check(203, Link::Up, &[4, 3, 5, 0, 0, 0], r#"[{"name":"DevUpgradeImageAns","cid":4,"status":3,"firmware_version":5}]"#);
    check(203, Link::Up, &[4, 1], r#"[{"name":"DevUpgradeImageAns","cid":4,"status":1}]"#);
    check(203, Link::Down, &[5, 5, 0, 0, 0], r#"[{"name":"DevDeleteImageReq","cid":5,"firmware_version":5}]"#);
    check(203, Link::Up, &[5, 1], r#"[{"name":"DevDeleteImageAns","cid":5,"status":1}]"#);
}

#[test]
fn bytes_of_a_wrong_key_are_not_complete() {
    for port in 200..=203 {
        assert!(!parse(Package::on_port(port).unwrap(), Link::Up, &[0x77, 1, 2, 3]).complete);
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        for package in [Package::Multicast, Package::Fragmentation, Package::ClockSync, Package::Firmware] {
            parse(package, Link::Up, &bytes);
            parse(package, Link::Down, &bytes);
        }
    }
}
