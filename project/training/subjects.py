"""The subjects the embedded model can draw: one row per subject, first what editors try first.

A row is ``code | English names | Chinese names``. The code is the Unicode code point of the emoji whose 3D picture
(npm package ``@lobehub/fluent-emoji-3d``) is pasted into the rendered scene; the names follow the labels and keywords
of ``emojibase-data``. The first name of each language is the usual one, the others are seen now and then in training.
"""

from __future__ import annotations

from dataclasses import dataclass

_ROWS = """
1f431|cat,kitten,kitty|猫,小猫,猫咪
1f436|dog,puppy|狗,小狗
1f42d|mouse|老鼠
1f430|rabbit,bunny|兔子,小兔子
1f98a|fox|狐狸
1f43b|bear,brown bear|熊,棕熊
1f43c|panda|熊猫
1f428|koala|考拉
1f42f|tiger|老虎
1f981|lion|狮子
1f42e|cow|奶牛,牛
1f437|pig|猪,小猪
1f438|frog|青蛙
1f435|monkey|猴子
1f427|penguin|企鹅
1f424|chick,baby chick|小鸡
1f986|duck|鸭子
1f989|owl|猫头鹰
1f434|horse,pony|马
1f984|unicorn|独角兽
1f41d|bee,honeybee|蜜蜂
1f98b|butterfly|蝴蝶
1f40c|snail|蜗牛
1f41e|ladybug,ladybird|瓢虫
1f422|turtle,tortoise|乌龟,海龟
1f419|octopus|章鱼
1f980|crab|螃蟹
1f420|tropical fish,fish|热带鱼,鱼
1f42c|dolphin|海豚
1f433|whale|鲸鱼
1f988|shark|鲨鱼
1f418|elephant|大象
1f992|giraffe|长颈鹿
1f993|zebra|斑马
1f42a|camel|骆驼
1f411|sheep|绵羊,羊
1f98c|deer|鹿
1f413|rooster|公鸡
1f9a9|flamingo|火烈鸟
1f99c|parrot|鹦鹉
1f994|hedgehog|刺猬
1f43f-fe0f|squirrel,chipmunk|松鼠
1f409|dragon|龙
1f996|dinosaur,t-rex|恐龙,霸王龙
1f426|bird|鸟,小鸟
1f34e|apple,red apple|苹果
1f34a|orange,tangerine|橙子,橘子
1f34b|lemon|柠檬
1f34c|banana|香蕉
1f349|watermelon|西瓜
1f347|grapes|葡萄
1f353|strawberry|草莓
1f352|cherries,cherry|樱桃
1f351|peach|桃子
1f34d|pineapple|菠萝
1f345|tomato|西红柿,番茄
1f951|avocado|牛油果
1f955|carrot|胡萝卜
1f33d|corn|玉米
1f966|broccoli|西兰花
1f344|mushroom|蘑菇
1f35e|bread,loaf of bread|面包
1f950|croissant|羊角面包
1f9c0|cheese|奶酪,芝士
1f95a|egg|鸡蛋
1f354|hamburger,burger|汉堡
1f35f|french fries,fries|薯条
1f355|pizza,slice of pizza|披萨
1f32d|hot dog|热狗
1f35c|bowl of noodles,noodles,ramen|面条,拉面
1f363|sushi|寿司
1f366|ice cream|冰淇淋
1f369|donut,doughnut|甜甜圈
1f36a|cookie|饼干
1f382|birthday cake,cake|生日蛋糕,蛋糕
1f9c1|cupcake,muffin|纸杯蛋糕
1f36b|chocolate,chocolate bar|巧克力
1f36d|lollipop|棒棒糖
2615|coffee,cup of coffee|咖啡
1f375|tea,cup of tea|茶,绿茶
1f37a|beer,mug of beer|啤酒
1f377|wine,glass of wine|葡萄酒,红酒
1f95b|milk,glass of milk|牛奶
1f697|car,automobile|汽车,小汽车
1f695|taxi,cab|出租车
1f68c|bus|公交车,巴士
1f692|fire truck,fire engine|消防车
1f69c|tractor|拖拉机
1f6b2|bicycle,bike|自行车
1f3cd-fe0f|motorcycle,motorbike|摩托车
1f682|train,steam train,locomotive|火车,蒸汽火车
2708-fe0f|airplane,plane|飞机
1f680|rocket,spaceship|火箭
1f681|helicopter|直升机
26f5|sailboat,boat|帆船,小船
1f6a2|ship|轮船
1f388|balloon|气球
1f6f8|ufo,flying saucer|飞碟
1f3e0|house,home|房子
1f3f0|castle|城堡
1f5fc|tower|铁塔
26fa|tent|帐篷
1f3a1|ferris wheel|摩天轮
1f333|tree|树,大树
1f332|pine tree|松树
1f334|palm tree|棕榈树
1f384|christmas tree|圣诞树
1f335|cactus|仙人掌
1f33b|sunflower|向日葵
1f339|rose|玫瑰
1f337|tulip|郁金香
1f338|cherry blossom|樱花
1f340|four leaf clover,clover|四叶草
1f341|maple leaf|枫叶
1fab4|potted plant|盆栽
2600-fe0f|sun|太阳
1f319|moon,crescent moon|月亮
2b50|star|星星
2601-fe0f|cloud|云,云朵
1f308|rainbow|彩虹
26a1|lightning|闪电
26c4|snowman|雪人
1f525|fire,flame|火焰,火
1f30d|earth,globe|地球
1f30b|volcano|火山
1f381|gift,present|礼物
26bd|soccer ball,football|足球
1f3c0|basketball|篮球
1f3b8|guitar|吉他
1f4f7|camera|相机,照相机
1f4bb|laptop,computer|笔记本电脑,电脑
1f4f1|phone,mobile phone|手机
1f4a1|light bulb,lightbulb|灯泡
1f4da|books,stack of books|书,书本
270f-fe0f|pencil|铅笔
2702-fe0f|scissors|剪刀
1f511|key|钥匙
1f512|padlock,lock|锁
2602-fe0f|umbrella|雨伞
1f451|crown|皇冠
1f3a9|top hat,hat|礼帽,帽子
1f45f|sneaker,running shoe,shoe|运动鞋,鞋子
1f457|dress|连衣裙,裙子
1f453|glasses|眼镜
1f48e|diamond,gem|钻石,宝石
2764-fe0f|heart,red heart|爱心,红心
1f514|bell|铃铛
23f0|alarm clock,clock|闹钟
1fa91|chair|椅子
1f9f8|teddy bear|泰迪熊
1f916|robot|机器人
1f47b|ghost|幽灵,鬼
1f383|pumpkin|南瓜灯,南瓜
1f3c6|trophy|奖杯
1f3ae|game controller|游戏手柄
1f3a7|headphones|耳机
"""


@dataclass(frozen=True)
class Subject:
    """A thing to draw: ``key`` is the file name (without suffix) of its picture in the emoji package."""

    key: str
    en: tuple[str, ...]
    zh: tuple[str, ...]

    @property
    def name(self) -> str:
        """The usual English name, used in reports."""
        return self.en[0]


def _parse(rows: str) -> tuple[Subject, ...]:
    subjects = []
    for row in rows.strip().splitlines():
        key, en, zh = row.split("|")
        subjects.append(Subject(key, tuple(en.split(",")), tuple(zh.split(","))))
    return tuple(subjects)


SUBJECTS: tuple[Subject, ...] = _parse(_ROWS)

# What people try first; training sees these three times as often as the others.
_COMMON = [
    "cat",
    "dog",
    "mouse",
    "rabbit",
    "fox",
    "bear",
    "panda",
    "tiger",
    "lion",
    "cow",
    "pig",
    "frog",
    "monkey",
    "penguin",
    "duck",
    "owl",
    "horse",
    "unicorn",
    "butterfly",
    "turtle",
    "elephant",
    "bird",
    "dragon",
    "apple",
    "orange",
    "banana",
    "strawberry",
    "pineapple",
    "mushroom",
    "bread",
    "hamburger",
    "pizza",
    "donut",
    "coffee",
    "car",
    "bus",
    "bicycle",
    "train",
    "airplane",
    "rocket",
    "sailboat",
    "balloon",
    "house",
    "castle",
    "tent",
    "tree",
    "sunflower",
    "rose",
    "cactus",
    "sun",
    "moon",
    "star",
    "cloud",
    "rainbow",
    "snowman",
    "fire",
    "gift",
    "guitar",
    "umbrella",
    "heart",
    "robot",
]
WEIGHTS: tuple[float, ...] = tuple(3.0 if subject.name in _COMMON else 1.0 for subject in SUBJECTS)
