// Checks a proof file of Yui with OpenZeppelin's library and nothing of Yui:
//   npm install @openzeppelin/merkle-tree && node docs/verify.mjs FILE [ROOT]
import { readFileSync } from "node:fs";
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";

const [, , file, root] = process.argv;
const { leaf_encoding, leaf_values, proof, root: own } = JSON.parse(readFileSync(file, "utf8"));
if (StandardMerkleTree.verify(root ?? own, leaf_encoding, leaf_values, proof)) {
  console.log(`The proof holds: [${leaf_values}] is under ${root ?? own}.`);
} else {
  console.log(`The proof does not hold under ${root ?? own}.`);
  process.exitCode = 1;
}
