"""The sample articles."""

ARTICLES = [
    {
        "title": "Twelve boats and a short winter",
        "slug": "twelve-boats-and-a-short-winter",
        "summary": "The fishing fleet went out in January for the first time in years. The harbour had to learn how.",
        "body": """
<p>At half past four in the morning the ice maker behind the auction hall starts to rattle, and on most January days
nobody needs it. This year the twelve boats of the small fleet were out before it had filled its first crate. The
water was two degrees warmer than the almanac says, and the herring had not read the almanac either.</p>
<p>“You do not wait for permission from a fish,” says Marta Oen, who has run the <em>Silje</em> for nineteen years
and her father's <em>Silje</em> before that. She shows the deck lights she bought second-hand from a ferry. In
January, she says, you work by lamp or you do not work.</p>
<h2>What the harbour had forgotten</h2>
<p>Winter fishing is not summer fishing with gloves on. The slipway has to be salted twice a night. The crane's
hydraulics want a heater. Somebody has to open the canteen at three. The harbour office found its old winter rota in
a drawer, under a telephone directory, and most of the names on it have retired.</p>
<p>So the retired came to the pier. For two weeks they stood beside the young crews, pointing. By the third week they
had stopped pointing and started to complain about the coffee, which everybody took as a good sign.</p>
<blockquote><p>Nobody writes these things down, because nobody thinks they will ever be new again.</p></blockquote>
<p>The catch was modest. What came back with it was a habit, and the rota, retyped, now hangs beside the canteen
door.</p>
""",
    },
    {
        "title": "The library that lends out seeds",
        "slug": "the-library-that-lends-out-seeds",
        "summary": "Take an envelope in March, bring one back in October. A shelf of beans outgrows its room.",
        "body": """
<p>Between the atlases and the local history there is a cabinet with ninety-six small drawers. It used to hold the
card catalogue. Today the drawer marked <em>Ba–Be</em> holds beans, and the rules are the same as for books: take
what you will use, look after it, bring it back.</p>
<p>What comes back in October is of course not what went out in March. A borrowed bean becomes a plant, the plant
becomes a hundred beans, and the reader returns an envelope of the best. After six years the library owns varieties
that no shop nearby sells any more, each with a card that says whose garden it has been through.</p>
<h2>Overdue</h2>
<p>There are no fines. Slugs, late frost and holidays are accepted as excuses, and so is a dog named Bosun, who is
mentioned on eleven cards. “We count on a third being lost,” says the librarian, Ines Haddad. “It is a better rate
than umbrellas.”</p>
<p>This spring the cabinet is full, and the council has offered a cold room under the stairs. It will have shelves for
potatoes. Readers have been asked to propose a system for cataloguing apples, and the first three proposals
contradict one another in a promising way.</p>
""",
    },
    {
        "title": "A lighthouse learns to keep quiet",
        "slug": "a-lighthouse-learns-to-keep-quiet",
        "summary": "The fog horn on the north mole fell silent. The neighbours had asked for it; now they miss it.",
        "body": """
<p>For one hundred and four years the fog horn on the north mole said the same thing to everybody: two long notes, a
pause of fifty seconds, two long notes. On Sunday at noon the keeper, who is an electrician on a part-time contract,
turned a key to the left, and it stopped.</p>
<p>Ships no longer need it. They carry receivers that know the mole better than the mole does. The people on the hill
above, who had signed a petition about sleep, gathered to hear the last call, and afterwards stood about for a while
as people do after a wedding.</p>
<h2>The first foggy night</h2>
<p>On Tuesday the fog came in. Several residents report that they woke up at the usual moment and lay waiting for the
second note. One of them, a retired pilot, went down to the mole with a trumpet. He was asked by the police,
politely, to try again at a decent hour.</p>
<p>The council will discuss a compromise next month: one call a day, at noon, weather permitting. It would mean
nothing and warn nobody. A majority is thought to be in favour.</p>
""",
    },
]
