"""The classes of ImageNet's challenge, and which of them stand for VOC's and COCO's. Needs timm's wheel, for its lists.

    pip download --no-deps timm==1.0.31 && python crates/evaluate/src/classes/make.py timm-1.0.31-py3-none-any.whl

imagenet.txt: a line for each of the 1000 classes in the networks' order: WordNet id and the names of its synset. The ids are those
of the challenge (Russakovsky et al. 2015), the names WordNet's (Princeton University, WordNet License), as timm (Apache-2.0)
ships both.

voc_imagenet.toml, coco_imagenet.toml: for each class of VOC and COCO the WordNet ids of the classes that show such a thing. They were
chosen by hand, by what the class's pictures show and the definition that the data set gives its class; the choices stand below, as ids
and as ranges of ids' positions. A class for which there is none is left out, and is unmapped.
"""

import pathlib
import sys
import zipfile

HERE = pathlib.Path(__file__).parent
wheel = zipfile.ZipFile(sys.argv[1])
read = lambda name: wheel.read(f"timm/data/_info/{name}").decode()
ids = read("imagenet_synsets.txt").split()
names = dict(line.split("\t", 1) for line in read("imagenet_synset_to_lemma.txt").splitlines())
assert len(ids) == 1000 and ids == sorted(ids)
(HERE / "imagenet.txt").write_text("".join(f"{i} {names[i]}\n" for i in ids))

VOC = {
    # After the annotation guidelines of VOC 2011; what they leave out (trams, emergency vehicles, wolves, laptops) is not there.
    "aeroplane": "404 airliner, 895 warplane",
    "bicycle": "444 bicycle-built-for-two, 671 mountain bike, 870 tricycle, 880 unicycle",
    "bird": "7-24, 80-100, 127-146",
    "boat": "403 aircraft carrier, 472 canoe, 484 catamaran, 510 container ship, 554 fireboat, 576 gondola, 625 lifeboat, 628 liner, "
    "724 pirate, 780 schooner, 814 speedboat, 871 trimaran, 914 yawl",
    "bottle": "440 beer bottle, 720 pill bottle, 737 pop bottle, 898 water bottle, 907 wine bottle",
    "bus": "654 minibus, 779 school bus, 874 trolleybus",
    "car": "436 beach wagon, 468 cab, 511 convertible, 609 jeep, 627 limousine, 656 minivan, 661 Model T, 751 racer, 817 sports car",
    "cat": "281-285",
    "chair": "423 barber chair, 559 folding chair, 765 rocking chair, 857 throne",
    "cow": "345 ox",
    "diningtable": "532 dining table",
    "dog": "151-268",
    "horse": "339 sorrel",
    "motorbike": "665 moped, 670 motor scooter",
    "person": "981 ballplayer, 982 groom, 983 scuba diver",
    "pottedplant": "738 pot",
    "sheep": "348 ram, 349 bighorn",
    "sofa": "831 studio couch",
    "train": "466 bullet train, 547 electric locomotive, 565 freight car, 705 passenger car, 820 steam locomotive",
    "tvmonitor": "664 monitor, 782 screen, 851 television",
}
COCO = {
    "person": VOC["person"],
    "bicycle": "444 bicycle-built-for-two, 671 mountain bike",
    "car": VOC["car"],
    "motorcycle": VOC["motorbike"],
    "airplane": VOC["aeroplane"],
    "bus": VOC["bus"],
    "train": VOC["train"],
    "truck": "555 fire engine, 569 garbage truck, 675 moving van, 717 pickup, 864 tow truck, 867 trailer truck",
    "boat": VOC["boat"],
    "traffic light": "920 traffic light",
    "parking meter": "704 parking meter",
    "bench": "703 park bench",
    "bird": VOC["bird"],
    "cat": VOC["cat"],
    "dog": VOC["dog"],
    "horse": VOC["horse"],
    "sheep": VOC["sheep"],
    "cow": VOC["cow"],
    "elephant": "101 tusker, 385 Indian elephant, 386 African elephant",
    "bear": "294-297",
    "zebra": "340 zebra",
    "backpack": "414 backpack",
    "umbrella": "879 umbrella",
    "tie": "451 bolo tie, 457 bow tie, 906 Windsor tie",
    "skis": "795 ski",
    "sports ball": "429 baseball, 430 basketball, 522 croquet ball, 574 golf ball, 722 ping-pong ball, 768 rugby ball, 805 soccer ball, "
    "852 tennis ball, 890 volleyball",
    "tennis racket": "752 racket",
    "bottle": VOC["bottle"],
    "wine glass": "572 goblet",
    "cup": "504 coffee mug, 968 cup",
    "knife": "499 cleaver",
    "spoon": "910 wooden spoon",
    "bowl": "659 mixing bowl, 809 soup bowl",
    "banana": "954 banana",
    "apple": "948 Granny Smith",
    "orange": "950 orange",
    "broccoli": "937 broccoli",
    "hot dog": "934 hotdog",
    "pizza": "963 pizza",
    "chair": VOC["chair"],
    "couch": VOC["sofa"],
    "potted plant": VOC["pottedplant"],
    "bed": "564 four-poster",
    "dining table": VOC["diningtable"],
    "toilet": "861 toilet seat",
    "tv": VOC["tvmonitor"],
    "laptop": "620 laptop, 681 notebook",
    "mouse": "673 mouse",
    "remote": "761 remote control",
    "keyboard": "508 computer keyboard",
    "cell phone": "487 cellular telephone",
    "microwave": "651 microwave",
    "oven": "827 stove",
    "toaster": "859 toaster",
    "sink": "896 washbasin",
    "refrigerator": "760 refrigerator",
    "book": "917 comic book",
    "clock": "409 analog clock, 530 digital clock, 892 wall clock",
    "vase": "883 vase",
    "teddy bear": "850 teddy",
    "hair drier": "589 hand blower",
}
HEAD = """# Which of ImageNet's 1000 classes show what {0} calls so, as WordNet ids; made by make.py, which has the reasons.
# The choice is this project's own and under its licence.
"""


def chosen(choice):
    for part in choice.split(", "):
        index, _, name = part.partition(" ")
        first, _, last = index.partition("-")
        for k in range(int(first), int(last or first) + 1):
            # The name beside a single index guards against a slip.
            assert not name or names[ids[k]].split(", ")[0] == name, (k, name, names[ids[k]])
            yield ids[k]


for title, table in (("VOC", VOC), ("COCO", COCO)):
    text = HEAD.format(title)
    for label, choice in table.items():
        rows = [f"  {i!r}, # {names[i].split(', ')[0]}\n".replace("'", '"', 2) for i in chosen(choice)]
        text += f'"{label}" = [\n{"".join(rows)}]\n'
    (HERE / f"{title.lower()}_imagenet.toml").write_text(text)
