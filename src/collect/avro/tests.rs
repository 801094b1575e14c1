use std::io::Write as _;

use proptest::prelude::*;

use super::*;

const SCHEMA: &str = r#"{"type":"record","name":"SessionStart","namespace":"users.behaviors.app","fields":[
    {"name":"id","type":"string"},
    {"name":"time","type":["null",{"type":"long","logicalType":"timestamp-millis"}]},
    {"name":"tags","type":{"type":"array","items":{"type":"map","values":"bytes"}}},
    {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["a","b"]}},
    {"name":"other","type":["null","Kind","users.behaviors.app.Kind","SessionStart"]},
    {"name":"duration","type":"float"}]}"#;
const SYNC: [u8; 16] = *b"0123456789abcdef";

fn long(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    loop {
        let byte = (rest & 0x7F) as u8;
        rest >>= 7;
        if rest == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

fn text(text: &str) -> Vec<u8> {
    [long(text.len() as i64), text.into()].concat()
}

fn record(id: &str, time: i64) -> Vec<u8> {
    let map = [long(1), text("k"), text("v"), long(0)].concat();
    [
        text(id),
        long(1),
        long(time),
        long(-1),
        long(map.len() as i64),
        map.clone(),
        long(1),
        map,
        long(0),
        long(1),
        long(2),
        long(0),
        1.5_f32.to_le_bytes().to_vec(),
    ]
    .concat()
}

fn block(codec: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let content = records.concat();
    let data = match codec {
        "deflate" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&content).unwrap();
            encoder.finish().unwrap()
        }
        "zstandard" => zstd::encode_all(content.as_slice(), 1).unwrap(),
        "snappy" => {
            let mut crc = flate2::Crc::new();
            crc.update(&content);
            let compressed = snap::raw::Encoder::new().compress_vec(&content).unwrap();
            [compressed, crc.sum().to_be_bytes().to_vec()].concat()
        }
        _ => content,
    };
    let head = [long(records.len() as i64), long(data.len() as i64)];
    [head.concat(), data, SYNC.to_vec()].concat()
}

fn header(codec: &str) -> Vec<u8> {
    [
        MAGIC.to_vec(),
        long(2),
        text("avro.schema"),
        text(SCHEMA),
        text("avro.codec"),
        text(codec),
        long(0),
        SYNC.to_vec(),
    ]
    .concat()
}

fn file(codec: &str) -> Vec<u8> {
    let blocks = [
        block(codec, &[record("one", 1), record("two", -2)]),
        block(codec, &[record("three", i64::MAX)]),
    ];
    [header(codec), blocks.concat()].concat()
}

/// Ids of records, and the error that ended them.
fn read(bytes: &[u8]) -> (Vec<String>, Option<String>) {
    let mut container = match Container::open(bytes, &["duration", "id", "none", "time"]) {
        Ok(container) => container,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let mut found = Vec::new();
    loop {
        match container.next_record() {
            Ok(None) => return (found, None),
            Ok(Some(values)) => found.push(format!("{:?}", values[1])),
            Err(error) => return (found, Some(error.to_string())),
        }
    }
}

#[test]
fn wanted_fields_are_read_whatever_the_codec() {
    for codec in ["null", "deflate", "zstandard", "snappy"] {
        let bytes = file(codec);
        let mut container = Container::open(bytes.as_slice(), &["duration", "id", "none", "time"]).unwrap();
        assert_eq!(container.schema_name(), "users.behaviors.app.SessionStart");
        assert!(container.has_field(1) && !container.has_field(2));
        for (id, time) in [("one", 1), ("two", -2), ("three", i64::MAX)] {
            let values = container.next_record().unwrap().unwrap();
            let expected = [
                Value::Float(1.5),
                Value::Text(id),
                Value::Null,
                Value::Integer(time),
            ];
            assert_eq!(values, expected, "{codec}");
        }
        assert!(container.next_record().unwrap().is_none());
    }
}

#[test]
fn what_stands_before_a_damage_is_read() {
    let whole = file("deflate");
    let second = header("deflate").len() + block("deflate", &[record("one", 1), record("two", -2)]).len();
    let two = ["Text(\"one\")", "Text(\"two\")"];
    let (found, error) = read(&whole[..whole.len() - 1]);
    assert_eq!(found, two);
    assert_eq!(
        error.unwrap(),
        format!("the file is cut off, at byte {}", whole.len() - 1)
    );
    let mut damaged = whole.clone();
    damaged[second + 8] ^= 0xFF;
    let (found, error) = read(&damaged);
    assert_eq!(found, two);
    assert!(
        error
            .unwrap()
            .ends_with(&format!("in the block, at byte {second}"))
    );
    assert_eq!(
        read(b"PAR1").1.unwrap(),
        "this is not an Avro object container file, at byte 0"
    );
    assert!(read(&header("xz")).1.unwrap().contains("received 'xz'"));
}

#[test]
fn few_bytes_never_stand_for_many_records() {
    let nothing = r#"{"type":"record","name":"N","fields":[{"name":"id","type":"null"}]}"#;
    let head = [
        MAGIC.to_vec(),
        long(1),
        text("avro.schema"),
        text(nothing),
        long(0),
        SYNC.to_vec(),
    ]
    .concat();
    let block = [long(i64::MAX), long(0), SYNC.to_vec()].concat();
    assert!(read(&[head, block].concat()).1.unwrap().contains("no content"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
        read(&[header("null"), bytes.clone()].concat());
        read(&[header("snappy"), long(1), long(bytes.len() as i64), bytes, SYNC.to_vec()].concat());
    }

    #[test]
    fn damaged_files_are_read_or_refused(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), codec in 0..4_usize) {
        let mut bytes = file(["null", "deflate", "zstandard", "snappy"][codec]);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        read(&bytes);
    }
}
