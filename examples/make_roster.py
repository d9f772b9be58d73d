"""Make roster.csv: 2,000 learners of a company that does not exist, the same in every run.

    python examples/make_roster.py

Names are combined at random from common given and family names of one language. Email addresses are at example.org
or example.com, which are reserved for examples. An import gives the 2,000 rows these outcomes:

    created  1,977   1,805 activated, 120 deactivated (Active is No), 52 expired (the date has passed, and
                     Active is empty in 38 rows and No in 14)
    refused      8   the date has passed, but Active is Yes
    invalid     15   lines 214, 1502          Active is Maybe
                     lines 371, 988, 1733     31/12/2030, a date with the day first
                     line 1121                2031-02-30, a day that does not exist
                     lines 655, 1846          neither Username nor External ID
                     line 1291                line 403 again
                     line 1612                line 777's External ID, with another Username and Last Name
                     line 1955                line 1043's Username in capitals, without the External ID
                     lines 523, 1377          an email address without @
                     lines 844, 1668          a name's comma without quotes, so one cell too many

A second import leaves those 1,977 unchanged. Their Active is Yes in 1,558 rows, No in 134 and empty in 285. Their
Expiration Date is from 2020 to 2024 in 52 rows, from 2031 to 2035 in 240, never in 10, and empty in 1,675.
"""

# ruff: noqa: INP001, RUF001  a script by itself; letters of other alphabets look like Latin ones

import csv
import io
import random
import sys
import unicodedata
from calendar import monthrange
from collections.abc import Sequence
from datetime import date
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")

SEED = 20260316
LINES = range(2, 2002)  # the header is line 1
HEADER = ["Username", "External ID", "Email", "First Name", "Last Name", "Active", "Expiration Date"]
USERNAME, EXTERNAL_ID, EMAIL, FIRST_NAME, LAST_NAME, ACTIVE, EXPIRATION_DATE = range(len(HEADER))

# A paragraph is a language: given names / family names. Where the script is not Latin: name=romanized.
NAMES = """
Adébáyọ̀, Ọlámidé, Yétúndé, Fọlákẹ́, Bọ́lájí, Títílayọ̀, Káyọ̀dé, Abíọ́dún, Ṣadé, Ọmọ́táyọ̀ /
Adéyẹmí, Ọbásanmí, Ògúnlẹ́yẹ, Akínwándé, Ọláṣọjí, Àjàyí, Fálọlá, Ṣódípọ̀, Olúwọlé, Adélékè

Adaeze, Chidi, Ngọzi, Ifeọma, Emeka, Obinna, Amara, Uchenna, Nkechi, Kelechi /
Okafor, Eze, Okonkwo, Nwosu, Onyeka, Igwe, Umeh, Obiọra, Anyanwu, Chukwu

Amina, Garba, Hauwa, Sani, Zainab, Usman, Rakiya, Ɗanladi, Maryam, Ƙasim /
Bello, Danjuma, Yaro, Lawal, Abubakar, Tanko, Gwarzo, Ɗantata, Ƴaradua, Sule

Wanjiru, Otieno, Baraka, Neema, Juma, Akinyi, Amani, Zawadi, Kamau, Rehema /
Mwangi, Odhiambo, Kariuki, Njoroge, Ochieng, Mutua, Kiprono, Maina

ሰላም=selam, አበበ=abebe, ብርሃን=birhan, ሄለን=helen, ዳዊት=dawit, ሳራ=sara, ዮሐንስ=yohannes, ማርታ=marta /
ተስፋዬ=tesfaye, ከበደ=kebede, በቀለ=bekele, ግርማ=girma, አለሙ=alemu, ደስታ=desta, መኮንን=mekonnen

Oliver, Grace, Harriet, Theo, Imogen, Callum, Beatrice, Rhys, Florence, Jude /
Whitfield, Ashcroft, O'Brien, Pemberton, Hale, Smith-Jones, Lockwood, Mercer, Thorne, Bexley

Aoife, Ciarán, Siobhán, Pádraig, Gráinne, Róisín, Oisín, Caoimhe, Tadhg, Éabha /
Breathnach, de Búrca, de Brún, Seoighe, Caomhánach, Feirtéar, Tóibín

Jürgen, Käthe, Björn, Änne, Götz, Sören, Heike, Ulrike, Matthias, Zoë /
Müller, Weiß, Schäfer, Großmann, Köhler, Strauß, Jäger, von der Heide, Löwe, Voß

Anneke, Joost, Saskia, Thijs, Daniël, Renée, Maarten, Loïs, Femke, Bram /
van der Berg, de Vries, Jansen, ter Horst, van 't Hof, Bakker, Visser, IJsselstein, Mulder

Élodie, François, Hélène, Jérôme, Zoé, Gaël, Maëlys, Noël, Anaïs, Côme /
Lefèvre, Béranger, Côté, d'Aubigny, Lemaître, Pélissier, L'Hôpital, Lebœuf, Prévost

José, María Fernanda, Íñigo, Begoña, Ramón, Lucía, Andrés, Inés, Ángel, Belén /
Núñez, García Ibáñez, Peña, Muñoz, Zúñiga, Domínguez, Güell, Ordóñez, Cárdenas

João, Conceição, Luís, Inês, Estêvão, Antônia, Lourenço, Flávia, Tomé, Vitória /
Gonçalves, Magalhães, Simões, Araújo, da Conceição, Falcão, Leitão, Brandão, Assunção, Câmara

Niccolò, Giosuè, Chiara, Matilde, Lorenzo, Noè, Ginevra, Tommaso, Bettina, Elia /
D'Angelo, De Santis, Rinaldi, Cantù, Ferrero, Dell'Orto, Laganà, Calabrò

Ștefan, Ioana, Răzvan, Mădălina, Andreea, Cătălin, Ilinca, Bogdan, Sânziana /
Ionescu, Dumitrașcu, Pârvu, Știrbu, Gheorghiță, Măcelaru, Oprișan, Țăranu

Łukasz, Małgorzata, Agnieszka, Paweł, Żaneta, Michał, Bożena, Grażyna, Józef, Świętosława /
Wójcik, Zając, Gołąb, Żuk, Wróbel, Dąbek, Łoś, Król, Nowak

Jiří, Božena, Ondřej, Žofie, Matěj, Kateřina, Štěpán, Růžena, Zdeněk /
Janů, Krejčí, Kočí, Petrů, Hořejší, Dolejší, Jirků

Ágnes, György, Zsófia, Ödön, Erzsébet, Bálint, Krisztián, Tünde, Lőrinc, Áron /
Szabó, Kovács, Tóth, Győri, Fekete, Horváth, Őze, Bíró, Székely, Füredi

Željka, Dražen, Nikša, Đurđica, Siniša, Vlaho, Mirjana, Božo, Snježana, Krešo /
Kovačić, Đurić, Šimić, Perković, Žanić, Horvatić, Čolak, Matošević, Brkić, Vučković

Žygimantas, Šarūnas, Giedrius, Ąžuolas, Mindaugas, Vytis /
Kazlauskas, Šimkus, Mažeika, Čepas, Žilinskas

Līga, Ilze, Dārta, Rūta, Zane, Ņina, Ģertrūde /
Bērziņa, Kalniņa, Ozoliņa, Liepiņa, Krūmiņa

Søren, Åse, Bjørn, Håkon, Ingrid, Kjersti, Øyvind, Åsa, Gunnar, Frøya /
Ødegård, Sjöberg, Kjær, Ångström, Bjørnstad, Lindqvist, Sørensen, Østby, Håland, Öberg

Väinö, Päivi, Jyrki, Seppo, Aino, Yrjö /
Hämäläinen, Mäkelä, Järvinen, Yli-Öyrä, Lähteenmäki

Õnne, Tõnu, Ülle, Märt, Kärt, Jüri /
Tamm, Põldmaa, Kõiv, Saar, Mägi

Þórunn, Guðrún, Ragnheiður, Hrafnhildur, Íris, Sæunn, Álfheiður /
Þórðardóttir, Guðmundsdóttir, Ólafsdóttir, Ægisdóttir

Sigurður, Ásgeir, Snæbjörn, Eyþór, Ævar, Þorsteinn /
Jónsson, Ægisson, Björnsson, Haraldsson, Þorvaldsson

Işıl, Çağlar, İpek, Ömer, Şeyma, Gökçe, Uğur, Ayşe, İlker, Tuğba /
Yılmaz, Öztürk, Çelik, Şahin, Kılıç, Güneş, Aydın, Işık, Doğan, İnce

Elçin, Rəşad, Əli, Tərlan, Cavidan, Şahin /
Məmmədov, Quliyev, İsmayılov, Cəfərli, Babazadə, Hüseynli

Thị Mai, Đức, Hữu Phước, Thúy, Quỳnh, Tuấn, Ngọc Ánh, Bảo, Hạnh, Đăng Khoa /
Nguyễn, Trần, Đặng, Phạm, Huỳnh, Võ, Đỗ, Lê, Bùi, Dương

Dewi, Agus, Ratna, Bambang, Made, Wayan, Putri /
Wibowo, Santoso, Pangestu, Hidayat, Simanjuntak

Ligaya, Crisanto, Nilo, Luzviminda, Bayani /
Dela Cruz, Macaraeg, Bautista, Peñaflor, Dimaculangan

Tāne, Hēmi, Aroha, Māia, Pānia, Rāwiri, Hōne /
Parāone, Tāmihana, Rāpana, Hēnare, Pōtae

Kaʻiulani, Keʻala, Leilani, Kawika, Kūpono, Noʻeau /
Kahananui, Kealiʻi, Kaʻaihue, Nāone, Kekaulike

Анна=anna, Ольга=olga, Юлия=yulia, Ксения=ksenia, Эльвира=elvira, Любовь=lyubov /
Иванова=ivanova, Кузнецова=kuznetsova, Орлова=orlova, Воробьёва=vorobyova, Щукина=shchukina

Дмитрий=dmitri, Фёдор=fyodor, Алексей=alexei, Пётр=pyotr, Юрий=yuri, Илья=ilya /
Соловьёв=solovyov, Жуков=zhukov, Быков=bykov, Цыганков=tsygankov, Ершов=yershov

Олександра=oleksandra, Ярослав=yaroslav, Євгенія=yevhenia, Дарʼя=daria, Богдан=bohdan, Ґалина=galyna /
Шевченко=shevchenko, Коваленко=kovalenko, Ткачук=tkachuk, Мельник=melnyk, Їжакевич=yizhakevych

Цветана=tsvetana, Невена=nevena, Десислава=desislava, Гергана=gergana /
Петкова=petkova, Ангелова=angelova, Димитрова=dimitrova, Йорданова=yordanova

Љубица=ljubica, Милош=milos, Ђорђе=djordje, Јелена=jelena, Ђурђина=djurdjina /
Стојановић=stojanovic, Ћосић=cosic, Џаковић=dzakovic, Њежић=njezic

Αλέξανδρος=alexandros, Ελένη=eleni, Γιώργος=giorgos, Χρυσούλα=chrysoula, Οδυσσέας=odysseas, Ζωή=zoi /
Γεωργίου=georgiou, Οικονόμου=oikonomou, Βασιλείου=vasileiou, Παπαϊωάννου=papaioannou, Ιωάννου=ioannou

ნინო=nino, გიორგი=giorgi, თამარ=tamar, ლევან=levan, ქეთევან=ketevan, დავით=davit, მარიამ=mariam /
ბერიძე=beridze, კაპანაძე=kapanadze, გელაშვილი=gelashvili, ლომიძე=lomidze, მაისურაძე=maisuradze

Արմեն=armen, Անահիտ=anahit, Տիգրան=tigran, Նարե=nare, Գայանե=gayane, Վահագն=vahagn, Լուսինե=lusine /
Սարգսյան=sargsyan, Հակոբյան=hakobyan, Գրիգորյան=grigoryan, Պետրոսյան=petrosyan, Մկրտչյան=mkrtchyan

محمد=mohammed, فاطمة=fatima, يوسف=yousef, ليلى=layla, عمر=omar, نور=nour, خديجة=khadija, سلمى=salma,
إبراهيم=ibrahim, طارق=tariq /
الحسن=alhassan, حداد=haddad, الخطيب=alkhatib, منصور=mansour, النجار=alnajjar, شاهين=shahin,
العلي=alali, قاسم=qasim, الزهراني=alzahrani

مریم=maryam, رضا=reza, پریسا=parisa, کیان=kian, گلنار=golnar, فرهاد=farhad, نگین=negin, آرش=arash /
احمدی=ahmadi, کریمی=karimi, رستم‌زاده=rostamzadeh, یزدانی=yazdani, پورحسینی=pourhosseini, چراغی=cheraghi

נועה=noa, אברהם=avraham, תמר=tamar, יעל=yael, איתן=eitan, שירה=shira, דוד=david, רחל=rachel /
כהן=cohen, לוי=levi, מזרחי=mizrahi, פרידמן=friedman, ביטון=biton, אזולאי=azoulay, בן־דוד=bendavid

प्रिया=priya, अर्जुन=arjun, कृष्णा=krishna, सुनीता=sunita, विक्रम=vikram, लक्ष्मी=lakshmi, ज्योति=jyoti /
शर्मा=sharma, पटेल=patel, सिंह=singh, गुप्ता=gupta, मिश्रा=mishra, त्रिपाठी=tripathi, चौधरी=chaudhary

অনির্বাণ=anirban, সুচিত্রা=suchitra, রফিক=rafiq, মৌসুমী=mousumi, তানভীর=tanvir, শর্মিলা=sharmila /
চক্রবর্তী=chakraborty, রহমান=rahman, মুখার্জি=mukherjee, হোসেন=hossain, সেনগুপ্ত=sengupta

கவிதா=kavitha, முருகன்=murugan, செல்வி=selvi, இளங்கோ=ilango, மீனாட்சி=meenakshi /
சுப்பிரமணியம்=subramaniam, ராமசாமி=ramasamy, நடராஜன்=natarajan

අමිල=amila, සඳුනි=sanduni, නිමල්=nimal, කුමාරි=kumari /
පෙරේරා=perera, සිල්වා=silva, ප්‍රනාන්දු=fernando

สมชาย=somchai, พิมพ์ชนก=pimchanok, อนันต์=anan, มาลี=malee, ธนากร=thanakorn, กาญจนา=kanchana /
ศรีสุข=srisuk, วงศ์ทอง=wongthong, แสงจันทร์=saengchan, ใจดี=jaidee, บุญมี=boonmee

សុខា=sokha, ចន្ទ្រា=chantrea, ដារា=dara, បុប្ផា=bopha /
ហេង=heng, គឹម=kim, លី=ly, ចាន់=chan

伟=wei, 秀英=xiuying, 小明=xiaoming, 思雨=siyu, 子涵=zihan, 志强=zhiqiang, 建国=jianguo, 丽=li /
王=wang, 李=li, 张=zhang, 刘=liu, 赵=zhao, 欧阳=ouyang, 周=zhou, 吴=wu, 陈=chen

雅婷=yating, 建國=jianguo, 淑芬=shufen, 家豪=jiahao, 怡君=yijun, 志偉=zhiwei /
陳=chen, 楊=yang, 黃=huang, 劉=liu, 歐陽=ouyang, 蔡=tsai

陽菜=hina, 蓮=ren, さくら=sakura, 健太=kenta, 美咲=misaki, 大輔=daisuke, ユウキ=yuki, 直子=naoko /
佐藤=sato, 鈴木=suzuki, 髙橋=takahashi, 田中=tanaka, 渡邉=watanabe, 小野寺=onodera, 齋藤=saito

민준=minjun, 서연=seoyeon, 지우=jiwoo, 하은=haeun, 도윤=doyoon, 수빈=subin, 영희=younghee /
김=kim, 이=lee, 박=park, 최=choi, 정=jung, 강=kang, 조=cho, 윤=yoon, 임=lim, 황보=hwangbo
"""
# Letters that Unicode does not decompose into an ASCII letter and a mark.
ROMANIZED = str.maketrans(
    {"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ə": "e"}
    | {"ɗ": "d", "ƙ": "k", "ƴ": "y"}
)

# The values of Active and Expiration Date, and how many of the rows without mistakes have them.
ACTIVE_AND_DATE = {
    ("Yes", ""): 1338,
    ("Yes", "future"): 210,
    ("Yes", "never"): 10,
    ("Yes", "past"): 8,
    ("No", ""): 110,
    ("No", "future"): 10,
    ("No", "past"): 14,
    ("", ""): 227,
    ("", "future"): 20,
    ("", "past"): 38,
}
YEARS = {"past": range(2020, 2025), "future": range(2031, 2036)}
SPELLINGS = {"Yes": ["Yes"] * 30 + ["yes", "YES", "Yes "], "No": ["No"] * 30 + ["no", "NO"], "": [""]}

# By line: names that need quotes, because they contain a comma or quotes.
QUOTED = {
    29: ("Chidi", "Okafor, Jr."),
    318: ("Harriet", "Whitfield, PhD"),
    447: ('Oliver "Ollie"', "Pemberton"),
    612: ("Theo", "Lockwood, III"),
    811: ("Emeka", "Nwosu, Sr."),
    1184: ("Renée", "de Vries, MSc"),
    1349: ("José", "Núñez, hijo"),
    1466: ('Crisanto "Cris"', "Dela Cruz"),
    1587: ("Jude", "Mercer, Jr."),
    1901: ("Käthe", "Schäfer, geb. Löwe"),
}

# The mistakes, by line.
MAYBE = (214, 1502)
DAY_FIRST = (371, 988, 1733)
NO_SUCH_DAY = 1121
NO_KEY = (655, 1846)
COPY, COPIED = 1291, 403
RENAMED, RENAMED_FROM = 1612, 777
IN_CAPITALS, IN_CAPITALS_OF = 1955, 1043
NO_AT = (523, 1377)
MARRIED = {RENAMED_FROM: ("Ingrid", "Lindqvist"), RENAMED: ("Ingrid", "Sjöberg")}
UNQUOTED = {844: ("Grace", "Ashcroft, PhD"), 1668: ("Obinna", "Eze, Jr.")}
CHOSEN_NAMES = QUOTED | MARRIED | UNQUOTED
MISTAKES = {*MAYBE, *DAY_FIRST, NO_SUCH_DAY, *NO_KEY, COPY, RENAMED, IN_CAPITALS, *NO_AT, *UNQUOTED}


class Person(NamedTuple):
    """A name, and its spelling in lower-case ASCII letters."""

    given: str
    family: str
    ascii_given: str
    ascii_family: str


class Chance:
    """Random choices that are the same in every Python. Only `random()` guarantees that for a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  nothing is secret here

    def pick(self, items: Sequence[Item]) -> Item:
        """Choose one of the items. Each is equally likely."""
        return items[int(self._random.random() * len(items))]

    def shuffle(self, items: list[Item]) -> None:
        """Shuffle the items."""
        items.sort(key=lambda _: self._random.random())


def romanize(name: str) -> str:
    """Spell a name of Latin script in lower-case ASCII letters: Weiß is weiss, van 't Hof is vanthof."""
    letters = unicodedata.normalize("NFD", name.lower().translate(ROMANIZED))
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())


def to_person(given: str, family: str) -> Person:
    """Combine two names into a person. A spelling after `=` replaces the one by rule."""
    given, _, ascii_given = given.partition("=")
    family, _, ascii_family = family.partition("=")
    return Person(
        given,
        family,
        ascii_given or romanize(given.partition(" ")[0]),
        ascii_family or romanize(family.partition(",")[0]),
    )


def take_free(wanted: list[str], taken: set[str]) -> str:
    """Take the first wanted name that is free. If none is, add a number: okafor2."""
    numbered = (f"{wanted[-1]}{number}" for number in count(2))
    name = next(name for name in chain(wanted, numbered) if name not in taken)
    taken.add(name)
    return name


def expiration_date(chance: Chance, when: str) -> str:
    """Write the cell: the end of a month in the past or in the future, otherwise `when` itself."""
    if when not in YEARS:
        return when
    year, month = chance.pick(YEARS[when]), chance.pick(range(1, 13))
    return date(year, month, monthrange(year, month)[1]).isoformat()


def make_rows(chance: Chance) -> dict[int, list[str]]:
    """Make the rows by line, without mistakes."""
    languages = [
        [[name.strip() for name in names.split(",")] for names in language.split("/")]
        for language in NAMES.split("\n\n")
    ]
    planned = [cells for cells, rows in ACTIVE_AND_DATE.items() for _ in range(rows)]
    chance.shuffle(planned)
    taken: set[str] = set()
    rows = {}
    for line in LINES:
        given, family = CHOSEN_NAMES.get(line) or map(chance.pick, chance.pick(languages))
        who = to_person(given, family)
        full = f"{who.ascii_given}.{who.ascii_family}"
        username = address = take_free([f"{full[0]}.{who.ascii_family}", full], taken)
        if line % 50 == 0:
            username = take_free([f"{who.given}.{who.family}".lower().replace(" ", "")], taken)
        active, when = ("Yes", "") if line in MISTAKES else planned.pop()
        rows[line] = [
            username,
            f"HR-{999 + line}" if line % 67 else "",
            f"{address}@example.{chance.pick(['org'] * 7 + ['com'])}",
            who.given,
            who.family,
            chance.pick(SPELLINGS[active]),
            expiration_date(chance, when),
        ]
    return rows


def make_mistakes(rows: dict[int, list[str]]) -> None:
    """Put the mistakes into their lines, as a person would make them."""
    for line in MAYBE:
        rows[line][ACTIVE] = "Maybe"
    for line in DAY_FIRST:
        rows[line][EXPIRATION_DATE] = "31/12/2030"
    rows[NO_SUCH_DAY][EXPIRATION_DATE] = "2031-02-30"
    for line in NO_KEY:
        rows[line][USERNAME] = rows[line][EXTERNAL_ID] = ""
    rows[COPY] = rows[COPIED]
    rows[RENAMED][EXTERNAL_ID] = rows[RENAMED_FROM][EXTERNAL_ID]
    rows[IN_CAPITALS] = rows[IN_CAPITALS_OF].copy()
    rows[IN_CAPITALS][USERNAME] = rows[IN_CAPITALS_OF][USERNAME].upper()
    rows[IN_CAPITALS][EXTERNAL_ID] = ""
    for line in NO_AT:
        rows[line][EMAIL] = rows[line][EMAIL].replace("@", ".")
    for line in UNQUOTED:
        rows[line][LAST_NAME : LAST_NAME + 1] = rows[line][LAST_NAME].split(",")


def make_roster() -> str:
    """Make the whole file with its header, in Unicode's composed form. Lines end with a line feed."""
    rows = make_rows(Chance(SEED))
    make_mistakes(rows)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows.values()])
    return unicodedata.normalize("NFC", text.getvalue())


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("roster.csv")
    target.write_bytes(make_roster().encode())
