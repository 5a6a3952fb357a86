"""What the synthetic people say; written for this project."""

from __future__ import annotations

ENGLISH = (
    "Good evening, and welcome to the programme.",
    "The weather in the north will be mild and dry tomorrow, with a little fog near the coast.",
    "Before we move on, I would like to thank everyone who helped us this week.",
    "My father bought five blue boats from a man who builds them by hand.",
    "People often ask me why we measure the same thing twice.",
    "Above all, be patient, because the first result is seldom the best one.",
    "We put the warm bread on the wooden table and waited for our friends to arrive.",
    "Which of these pictures do you prefer, the small one or the large one?",
    "The council will vote on the new bridge next month, after a public hearing.",
    "She showed them a very old map of the village, and they found the missing path.",
    "If you move your lips slowly, every sound becomes a shape that you can see.",
    "Eight thousand visitors came through the gate on Saturday morning.",
    "Have you ever watched the moon rise above a quiet lake in autumn?",
    "Our team improved the method, published the numbers, and shared the code.",
    "Please remember to water the plants and feed the fish while I am away.",
    "The purple umbrella was much too big for such a tiny person.",
)
FRENCH = (
    "Bonjour à tous, et merci de votre présence.",
    "Demain, le ciel sera couvert le matin, puis le soleil reviendra dans l'après-midi.",
    "Nous avons beaucoup parlé du problème, mais personne n'a proposé de solution.",
    "Ma mère prépare toujours une bonne soupe aux légumes quand il fait froid.",
    "Vous pouvez voir le musée, le pont et la vieille place du marché en une heure.",
    "Il faut lire deux fois ce livre pour bien le comprendre.",
    "Pourquoi les oiseaux chantent-ils plus fort au printemps ?",
    "Le bateau bleu est parti avant la pluie, avec cinq passagers à bord.",
    "Cette méthode est simple, rapide, et surtout très facile à vérifier.",
    "Je vous propose de faire une pause, puis de reprendre la discussion.",
)
GERMAN = (
    "Guten Abend, meine Damen und Herren, und herzlich willkommen.",
    "Morgen früh ist es im Norden neblig, später scheint überall die Sonne.",
    "Wir haben lange über den Plan gesprochen und am Ende eine gute Lösung gefunden.",
    "Meine Schwester wohnt in einem kleinen Dorf mit einer alten Brücke.",
    "Bitte bringen Sie zum nächsten Treffen fünf blaue Bögen Papier mit.",
    "Warum messen wir eigentlich immer zweimal dasselbe?",
    "Der Bäcker öffnet um sieben Uhr, aber das Brot ist schon um sechs fertig.",
    "Wer langsam spricht, wird meistens besser verstanden.",
    "Im Museum hängen viele Bilder, die kaum jemand kennt.",
    "Ich möchte mich bei allen bedanken, die uns geholfen haben.",
)
SPANISH = (
    "Buenas noches y bienvenidos a nuestro programa.",
    "Mañana hará buen tiempo en la costa, con un poco de viento por la tarde.",
    "Mi abuelo compró una barca azul y aprendió a pescar en el río.",
    "Para hablar bien, primero hay que escuchar con mucha atención.",
    "El próximo mes se abrirá el nuevo puente sobre la bahía.",
    "¿Por qué medimos siempre dos veces la misma cosa?",
    "Ella puso el pan caliente sobre la mesa y llamó a sus amigos.",
    "Muchas personas visitaron el museo el domingo por la mañana.",
    "Este método es sencillo, rápido y fácil de comprobar.",
    "Gracias a todos por la ayuda y hasta la próxima semana.",
)
ITALIAN = (
    "Buonasera a tutti e benvenuti al nostro programma.",
    "Domani il tempo sarà bello, con qualche nuvola sulle montagne.",
    "Mio padre ha comprato una barca blu e la usa ogni domenica.",
    "Prima di parlare, bisogna ascoltare con molta attenzione.",
    "Il nuovo ponte sarà aperto al pubblico nel mese di maggio.",
    "Perché misuriamo sempre due volte la stessa cosa?",
    "Abbiamo messo il pane caldo sul tavolo e aspettato gli amici.",
    "Questo metodo è semplice, veloce e molto facile da verificare.",
    "Molte persone hanno visitato il museo sabato pomeriggio.",
    "Grazie a tutti per l'aiuto, e alla prossima settimana.",
)
# espeak-ng language -> sentences; the order is that of the identities.
LANGUAGES = {"en-us": ENGLISH, "fr": FRENCH, "en-gb-x-rp": ENGLISH, "de": GERMAN, "es": SPANISH, "it": ITALIAN}
