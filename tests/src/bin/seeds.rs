//! Writes the inputs that fuzzing starts from, a folder for each target: `seeds FOLDER`.

use citytap_tests::fuzzing;
use std::fs;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("seeds FOLDER"));
    for (name, inputs) in fuzzing::seeds() {
        let own = folder.join(name);
        fs::create_dir_all(&own)?;
        for (number, input) in inputs.iter().enumerate() {
            fs::write(own.join(format!("seed-{number}")), input)?;
        }
    }
    Ok(())
}
