// Plays the scenarios one after the other: `node run.js FOLDER-WITH-THE-MODULE`. One that hangs, or a panic, is a failure.
const { scenario } = require(process.argv[2] + "/testudo_wasm.js");
let played = { number: 0, done: false };
process.on("exit", (code) => {
    if (code === 0 && !played.done) {
        console.error(`scenario ${played.number} hangs`);
        process.exit(1);
    }
});
(async () => {
    while (await scenario(played.number)) played.number += 1;
    if (played.number === 0) throw new Error("no scenario was played");
    played.done = true;
    console.log(`${played.number} scenarios passed`);
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
