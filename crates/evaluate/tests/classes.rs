//! Which of a network's classes stand for those of a data set.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use hirescam_evaluate::classes::{ClassMap, How, imagenet, wordnet_id};
use std::fs;
use std::path::Path;

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const VOC: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

/// Labels as a real network has them.
fn labels() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/efficientnet-lite0.labels.txt");
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn refused(data: &[&str], network: &[String], how: &How) -> String {
    ClassMap::new(&strings(data), network, how).unwrap_err().to_string()
}

#[test]
fn imagenet_has_a_thousand_classes_in_order() {
    let list = imagenet();
    assert_eq!(list.len(), 1000);
    assert!(list.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert!(list.iter().zip(labels()).all(|(synset, label)| synset.names.eq_ignore_ascii_case(&label)));
}

#[test]
fn labels_are_one_whatever_their_signs_and_synonyms() {
    let network = strings(&["tench, Tinca tinca", "Tiger_Cat, alley cat", "crane", "Crane", "n02123045 tabby"]);
    let data = strings(&["tiger cat", "alley-cat", "TINCA TINCA", "crane", "tabby", "okapi", "n01440764 tench"]);
    let map = ClassMap::new(&data, &network, &How::Label).unwrap();
    let found: Vec<&[usize]> = (0..data.len()).map(|class| map.network_classes(class)).collect();
    assert_eq!(found, [&[1][..], &[1], &[0], &[], &[4], &[], &[0]]);
    assert_eq!(map.data_classes(1).collect::<Vec<_>>(), [0, 1]);
    let unmapped: Vec<(usize, &str)> = map.unmapped().iter().map(|u| (u.class, u.name.as_str())).collect();
    assert_eq!(unmapped, [(3, "crane"), (5, "okapi")]);
    assert!(map.unmapped()[0].because.contains("several of the network's classes are called so: 2, 3"));
}

#[test]
fn wordnet_ids_are_found_in_labels_and_in_imagenets_order() {
    assert_eq!(wordnet_id("n02123045 tabby, tabby cat"), Some("n02123045"));
    assert_eq!((wordnet_id("tn02123045"), wordnet_id("n0212304"), wordnet_id("n021230456")), (None, None, None));
    let data = strings(&["n02123045 tabby", "n01440764", "n00000001"]);
    let own = strings(&["n01440764", "x", "n02123045_tabby"]);
    for how in [How::WordNet, How::Auto] {
        let map = ClassMap::new(&data, &own, &how).unwrap();
        assert_eq!((map.network_classes(0), map.network_classes(1), map.unmapped().len()), (&[2][..], &[0][..], 1));
        // By order: labels that agree, none at all, and with a background before.
        let background: Vec<String> = std::iter::once("background".to_owned()).chain(labels()).collect();
        for (network, first) in [(labels(), 0), (vec![String::new(); 1000], 0), (background, 1)] {
            let map = ClassMap::new(&data, &network, &how).unwrap();
            assert_eq!((map.network_classes(0), map.network_classes(1)), (&[281 + first][..], &[first][..]));
        }
    }
    let mut shuffled = labels();
    shuffled.rotate_left(1);
    assert!(refused(&["n01440764"], &shuffled, &How::WordNet).contains("not those of ImageNet in their order"));
}

#[test]
fn the_built_in_tables_name_what_they_should() {
    let names = |data: &[&str], how: &str, class: &str| {
        let map = ClassMap::new(&strings(data), &labels(), &how.parse().unwrap()).unwrap();
        let class = data.iter().position(|name| *name == class).unwrap();
        map.network_classes(class).iter().map(|i| labels()[*i].clone()).collect::<Vec<_>>()
    };
    let voc = ClassMap::new(&strings(&VOC), &labels(), &"voc-imagenet".parse().unwrap()).unwrap();
    assert!(voc.unmapped().is_empty());
    // The whole of each kind: 118 dogs, and none of the wolves that follow.
    assert_eq!(voc.network_classes(11), (151..=268).collect::<Vec<_>>());
    assert_eq!(voc.network_classes(7), (281..=285).collect::<Vec<_>>());
    assert_eq!(voc.network_classes(2).len(), 18 + 21 + 20);
    // One network class stands for one class of the data set alone.
    assert!((0..1000).all(|index| voc.data_classes(index).count() <= 1));
    let first = |label: &String| label.split(',').next().unwrap().to_owned();
    let short = |class: &str| names(&VOC, "voc-imagenet", class).iter().map(first).collect::<Vec<_>>();
    assert_eq!(short("bus"), ["minibus", "school bus", "trolleybus"]);
    assert_eq!(
        short("train"),
        ["bullet train", "electric locomotive", "freight car", "passenger car", "steam locomotive"]
    );
    assert_eq!(short("aeroplane"), ["airliner", "warplane"]);
    assert_eq!(short("sheep"), ["ram", "bighorn"]);
    let coco = ["cat", "elephant", "bear", "laptop", "sports ball", "dog", "pizza", "giraffe"];
    let short = |class: &str| names(&coco, "coco-imagenet", class).iter().map(first).collect::<Vec<_>>();
    assert_eq!(short("elephant"), ["tusker", "Indian elephant", "African elephant"]);
    assert_eq!(short("bear"), ["brown bear", "American black bear", "ice bear", "sloth bear"]);
    assert_eq!(short("laptop"), ["laptop", "notebook"]);
    assert!(short("giraffe").is_empty());
    // They are found by themselves, and a thousand classes without labels are ImageNet's.
    let auto = |data: &[&str], network: &[String]| ClassMap::new(&strings(data), network, &How::Auto).unwrap();
    assert!(auto(&VOC, &labels()).how().contains("VOC"));
    assert!(auto(&coco, &labels()).how().contains("COCO"));
    let bare = auto(&VOC, &vec![String::new(); 1000]);
    assert!(bare.how().contains("its classes are taken for ImageNet's"));
    assert!((0..20).all(|class| bare.network_classes(class) == voc.network_classes(class)));
    assert_eq!(auto(&["disc", "ring"], &labels()).how(), "by label");
}

#[test]
fn order_needs_as_many_classes() {
    let map = ClassMap::new(&strings(&["a", "b"]), &vec![String::new(); 2], &How::Auto).unwrap();
    assert_eq!((map.network_classes(1), map.how()), (&[1][..], "by order, for the network has no labels"));
    let none = ClassMap::new(&strings(&["a", "b"]), &vec![String::new(); 3], &How::Auto).unwrap();
    assert_eq!(none.unmapped().len(), 2);
    let error = refused(&["a", "b"], &vec![String::new(); 3], &How::Order);
    assert!(error.contains("the data set has 2 classes and the network 3"), "{error}");
}

#[test]
fn tables_may_hold_labels_ids_and_indices() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.toml");
    let how: How = path.to_str().unwrap().parse().unwrap();
    fs::write(&path, "dog = ['beagle', 'n02106550', 7]\n\"tv/monitor\" = 'screen, CRT screen'\ncow = []\n").unwrap();
    let map = ClassMap::new(&strings(&["dog", "tvmonitor", "cow", "cat"]), &labels(), &how).unwrap();
    assert_eq!((map.network_classes(0), map.network_classes(1)), (&[7, 162, 234][..], &[782][..]));
    assert_eq!(map.unmapped().iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), ["cow", "cat"]);
    let cases = [
        ("dogs = 1", "the data set has no class \"dogs\"; near: dog"),
        ("dog = 1000", "dog: there is no class 1000 among the network's 1000"),
        ("dog = -1", "dog: there is no class -1"),
        ("dog = 'beagel'", "no label of the network is called so; near: beagle"),
        ("dog = 'crane'", "several of the network's classes are called so: 134, 517"),
        ("dog = 'n00000001'", "the network has no class n00000001"),
        ("dog = 1.5", "dog is neither a label nor an index"),
        ("dog = ", "this is no TOML"),
    ];
    for (text, why) in cases {
        fs::write(&path, text).unwrap();
        let error = refused(&["dog"], &labels(), &how);
        assert!(error.contains(why), "{error}");
    }
    fs::remove_file(&path).unwrap();
    assert!(refused(&["dog"], &labels(), &how).contains("map.toml"));
    assert!("labels".parse::<How>().unwrap_err().to_string().contains("did you mean \"label\"?"));
    let back: How = serde_json::from_str(&serde_json::to_string(&How::WordNet).unwrap()).unwrap();
    assert_eq!(back, How::WordNet);
}
