//! The rules that come with the program: the files of `rules/`, embedded when it is built.

use super::read::File;

macro_rules! embedded {
    ($($name:literal,)*) => {
        const FILES: &[(&str, &str)] = &[$((concat!("rules/", $name), include_str!(concat!("../../../rules/", $name))),)*];
    };
}

embedded! {
    "coap/discovery_sweep.yml",
    "coap/many_observations.yml",
    "coap/multicast_discovery.yml",
    "coap/path_guessing.yml",
    "coap/proxy_from_outside.yml",
    "coap/proxy_use.yml",
    "gwmp/outside.yml",
    "lorawan/duty_cycle_off.yml",
    "lorawan/firmware_blocks.yml",
    "lorawan/join_flood.yml",
    "lwm2m/bootstrap_in_clear.yml",
    "lwm2m/endpoint_twice.yml",
    "lwm2m/factory_reset.yml",
    "lwm2m/firmware_in_clear.yml",
    "lwm2m/reboot.yml",
    "lwm2m/registration_storm.yml",
    "modbus/address_scan.yml",
    "modbus/broadcast_write.yml",
    "modbus/clear_counters.yml",
    "modbus/device_busy.yml",
    "modbus/firmware_replacement.yml",
    "modbus/function_scan.yml",
    "modbus/identification_read.yml",
    "modbus/listen_only.yml",
    "modbus/many_points_written.yml",
    "modbus/outside.yml",
    "modbus/plc_control.yml",
    "modbus/point_hammered.yml",
    "modbus/restart.yml",
    "modbus/unit_scan.yml",
    "mqtt/client_id_fight.yml",
    "mqtt/firmware_topic.yml",
    "mqtt/login_failures.yml",
    "mqtt/login_failures_slow.yml",
    "mqtt/many_wildcards.yml",
    "mqtt/packet_before_connect.yml",
    "mqtt/retained_command.yml",
    "mqtt/session_taken_over.yml",
    "mqtt/subscribe_everything.yml",
    "mqtt/sys_read.yml",
    "mqtt/will_on_command.yml",
    "shelly/without_login.yml",
    "sparkplug/device_reboot.yml",
    "sparkplug/reboot.yml",
    "station/remote_command.yml",
    "station/remote_shell.yml",
    "tasmota/firmware_change.yml",
    "tasmota/secret_set.yml",
}

/// The files, by their names in the project.
pub fn files() -> impl Iterator<Item = File<'static>> {
    FILES.iter().map(|&(name, text)| File { name, text, own: false })
}
