//! The hosts that a TSBS workload pretends to watch: ten tags each, fixed for the host's life.

use crate::random::Random;

/// Regions and the letters of their datacenters.
const REGIONS: [(&str, &str); 9] = [
    ("us-east-1", "abce"),
    ("us-west-1", "ab"),
    ("us-west-2", "abc"),
    ("eu-west-1", "abc"),
    ("eu-central-1", "ab"),
    ("ap-southeast-1", "ab"),
    ("ap-southeast-2", "ab"),
    ("ap-northeast-1", "ac"),
    ("sa-east-1", "abc"),
];
const RACKS: usize = 100;
const SYSTEMS: [&str; 3] = ["Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"];
const ARCHITECTURES: [&str; 2] = ["x64", "x86"];
const TEAMS: [&str; 4] = ["SF", "NYC", "LON", "CHI"];
const SERVICES: usize = 20;
const SERVICE_VERSIONS: usize = 2;
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "test"];

/// The tags of host `number`, as in a line after its measurement: `,hostname=host_0,region=…`.
pub(crate) fn tags(number: usize, random: &mut Random) -> String {
    let (region, letters) = *random.pick(&REGIONS);
    let letter = char::from(*random.pick(letters.as_bytes()));
    format!(
        ",hostname=host_{number},region={region},datacenter={region}{letter},rack={},os={},arch={},team={},service={},\
         service_version={},service_environment={}",
        random.below(RACKS),
        random.pick(&SYSTEMS),
        random.pick(&ARCHITECTURES),
        random.pick(&TEAMS),
        random.below(SERVICES),
        random.below(SERVICE_VERSIONS),
        random.pick(&ENVIRONMENTS),
    )
}
