// Writing the page: data as JSON, and the script that draws it.
#include "partitioner/plan_html.hpp"

#include <nlohmann/json.hpp>

namespace sparse_run {

namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr const char* kHead = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Plan</title>
<style>
:root{color-scheme:light dark}
body{font:14px system-ui,sans-serif;margin:0;display:grid;grid-template-columns:minmax(340px,32%) 1fr;height:100vh}
aside{overflow:auto;padding:12px 16px;border-right:1px solid #8884}
main{overflow:auto;position:relative}
header{position:sticky;top:0;left:0;background:Canvas;padding:6px 12px;border-bottom:1px solid #8884;z-index:1;width:max-content}
#strip{display:block;cursor:pointer}#strip .on{stroke:#d00;stroke-width:2}
button,select{font:inherit;margin-right:8px}
h1{font-size:17px;margin:0 0 8px}h2{font-size:14px;margin:14px 0 4px}
table{border-collapse:collapse;width:100%}td,th{padding:2px 6px;text-align:right;border-bottom:1px solid #8883}
td:first-child,th:first-child,td.l,th.l{text-align:left}
tr.p{cursor:pointer}tr.p:hover{background:#8882}
.dot{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:5px}
input{width:100%;box-sizing:border-box;padding:5px;margin:6px 0}
svg text{font:11px system-ui,sans-serif;fill:#111;pointer-events:none}
svg path{fill:none;stroke:#8889;stroke-width:1}svg path.cross{stroke:#d33;stroke-width:1.6}svg path.near{stroke:#06c;stroke-width:2.5}
svg rect{rx:4;stroke:#0005}svg .on rect{stroke:#d00;stroke-width:3}
#detail{white-space:pre-wrap;font:12px ui-monospace,monospace;margin-top:6px}
</style></head><body><aside><h1 id="title"></h1><div id="summary"></div><div id="legend"></div>
<input id="search" placeholder="find a node by name or operator; Enter: the next one" aria-label="find a node"><div id="detail">Click a node or a partition.</div>
<h2>Partitions</h2><table id="parts"></table><h2>Where the time goes</h2><table id="heavy"></table>
<h2>Copies</h2><table id="edges"></table></aside>
<main><header><svg id="strip" xmlns="http://www.w3.org/2000/svg" role="img"><title>every node, as wide as its time</title></svg>
<label>colour <select id="by"><option>device<option>time<option>zeros</select></label><button id="out">−</button><button id="in">+</button><button id="fit">fit width</button></header><svg id="graph" xmlns="http://www.w3.org/2000/svg"></svg></main>
<script id="data" type="application/json">)html";

constexpr const char* kTail = R"html(</script><script>
"use strict";
const plan=JSON.parse(document.getElementById("data").textContent);
const byId=id=>document.getElementById(id);
const number=v=>v<0?"–":v===0?"0":Number(v).toPrecision(4);
const size=b=>b>=1048576?(b/1048576).toFixed(1)+" MiB":b>=1024?(b/1024).toFixed(1)+" KiB":b+" B";
const devices=[...new Set(plan.partitions.map(p=>p.device+(p.rank?" rank "+p.rank:"")))];
const colour=d=>`hsl(${(205+devices.indexOf(d)*137.5)%360} 65% 72%)`;
const deviceOf=p=>plan.partitions[p].device+(plan.partitions[p].rank?" rank "+plan.partitions[p].rank:"");
function cell(row,text,left){const td=row.insertCell();td.textContent=text;if(left)td.className="l";return td}
byId("title").textContent=`${plan.graph||"graph"}: ${plan.nodes.length} nodes, ${plan.partitions.length} partitions`;
byId("summary").textContent=`policy ${plan.policy}, objective ${plan.objective}, predicted ${number(plan.predicted_ms)} ms per request, lower bound ${number(plan.lower_bound_ms)} ms`;
for(const d of devices){const s=document.createElement("span"),i=document.createElement("i");i.className="dot";i.style.background=colour(d);s.append(i,d+"  ");byId("legend").append(s)}
const head=byId("parts").insertRow();for(const t of["partition","nodes","predicted ms","measured ms","zeros"]){const th=document.createElement("th");th.textContent=t;head.append(th)}
plan.partitions.forEach((p,i)=>{const r=byId("parts").insertRow();r.className="p";const c=cell(r,"",true);const dot=document.createElement("i");dot.className="dot";dot.style.background=colour(deviceOf(i));c.append(dot,`${i} ${deviceOf(i)}`);cell(r,p.nodes);cell(r,number(p.predicted_ms));cell(r,number(p.measured_ms));cell(r,(100*p.zeros).toFixed(0)+"%");r.title=p.reason;r.onclick=()=>{const n=plan.nodes.findIndex(n=>n.partition===i);byId("detail").textContent=`partition ${i} on ${deviceOf(i)}\n${p.reason}\nweights ${size(p.weight_bytes)}, confidence ${(100*p.confidence).toFixed(0)}%`;if(n>=0)show(n,true)}});
const ehead=byId("edges").insertRow();for(const t of["value","from","to","bytes","ms"]){const th=document.createElement("th");th.textContent=t;ehead.append(th)}
for(const e of plan.edges){const r=byId("edges").insertRow();cell(r,e.value,true);cell(r,e.from<0?"input":e.from);cell(r,e.to);cell(r,size(e.bytes));cell(r,number(e.ms))}
const level=[];let widest=0;const rows=[];
plan.nodes.forEach((n,i)=>{let l=0;for(const f of n.reads)l=Math.max(l,level[f]+1);level[i]=l;(rows[l]=rows[l]||[]).push(i)});
const W=188,H=40,at=[];rows.forEach((row,l)=>{row.sort((a,b)=>{const x=i=>plan.nodes[i].reads.length?plan.nodes[i].reads.reduce((s,f)=>s+at[f][0],0)/plan.nodes[i].reads.length:0;return x(a)-x(b)});row.forEach((i,k)=>{at[i]=[12+k*W,12+l*H]});widest=Math.max(widest,row.length)});
const svg=byId("graph"),ns=svg.namespaceURI,full=[24+widest*W,24+rows.length*H];svg.setAttribute("viewBox",`0 0 ${full[0]} ${full[1]}`);
let zoom=1;function scale(z){zoom=Math.min(4,Math.max(0.05,z));svg.setAttribute("width",full[0]*zoom);svg.setAttribute("height",full[1]*zoom)}scale(1);
byId("in").onclick=()=>scale(zoom*1.3);byId("out").onclick=()=>scale(zoom/1.3);byId("fit").onclick=()=>scale(Math.min(1,(svg.parentElement.clientWidth-20)/full[0]));
const timeOf=n=>n.measured_ms>=0?n.measured_ms:Math.max(0,n.predicted_ms),total=plan.nodes.reduce((s,n)=>s+timeOf(n),0),longest=Math.max(1e-12,...plan.nodes.map(timeOf));
const paints={device:n=>colour(deviceOf(n.partition)),time:n=>`hsl(${52-52*Math.sqrt(timeOf(n)/longest)} 90% ${92-36*Math.sqrt(timeOf(n)/longest)}%)`,zeros:n=>`hsl(150 45% ${94-52*n.zeros}%)`};
const make=(t,a)=>{const e=document.createElementNS(ns,t);for(const k in a)e.setAttribute(k,a[k]);return e};
plan.nodes.forEach((n,i)=>{for(const f of n.reads){const[x1,y1]=at[f],[x2,y2]=at[i];const a=x1+80,b=y1+26,c=x2+80;svg.append(make("path",{d:`M${a} ${b}C${a} ${b+12} ${c} ${y2-12} ${c} ${y2}`,class:plan.nodes[f].partition!==n.partition?"cross":"","data-from":f,"data-to":i}))}});
const boxes=plan.nodes.map((n,i)=>{const g=make("g",{transform:`translate(${at[i][0]} ${at[i][1]})`});g.append(make("rect",{width:166,height:26,fill:colour(deviceOf(n.partition))}));const t=make("text",{x:6,y:17});const name=n.name.length>17?"…"+n.name.slice(-16):n.name;t.textContent=`${n.op} ${name}`.slice(0,28);g.append(t);const tip=make("title",{});tip.textContent=`${n.name}\n${number(timeOf(n))} ms, ${(100*n.zeros).toFixed(0)}% zeros`;g.append(tip);g.style.cursor="pointer";g.onclick=()=>show(i,false);svg.append(g);return g});
const strip=byId("strip"),length=Math.max(400,Math.min(1100,innerWidth*0.6));strip.setAttribute("width",length);strip.setAttribute("height",34);let from=0;
const slices=plan.nodes.map((n,i)=>{const w=total>0?length*timeOf(n)/total:length/plan.nodes.length;const r=make("rect",{x:from,y:2,width:Math.max(w,0.2),height:30,"stroke-width":0});from+=w;const tip=make("title",{});tip.textContent=`${n.name} (${n.op}): ${number(timeOf(n))} ms, ${deviceOf(n.partition)}`;r.append(tip);r.onclick=()=>show(i,true);strip.append(r);return r});
function paint(){const p=paints[byId("by").value];plan.nodes.forEach((n,i)=>{slices[i].style.fill=p(n);boxes[i].firstChild.style.fill=p(n)})}byId("by").onchange=paint;paint();
const hhead=byId("heavy").insertRow();for(const t of["node","ms","share","zeros"]){const th=document.createElement("th");th.textContent=t;hhead.append(th)}
plan.nodes.map((n,i)=>i).sort((a,b)=>timeOf(plan.nodes[b])-timeOf(plan.nodes[a])).slice(0,15).forEach(i=>{const n=plan.nodes[i],r=byId("heavy").insertRow();r.className="p";cell(r,n.name,true);cell(r,number(timeOf(n)));cell(r,total>0?(100*timeOf(n)/total).toFixed(1)+"%":"–");cell(r,(100*n.zeros).toFixed(0)+"%");r.onclick=()=>show(i,true)});
function show(i,scroll){boxes.forEach(b=>b.classList.remove("on"));boxes[i].classList.add("on");slices.forEach(s=>s.classList.remove("on"));slices[i].classList.add("on");for(const p of svg.querySelectorAll("path"))p.classList.toggle("near",p.dataset.from==i||p.dataset.to==i);const n=plan.nodes[i];if(scroll)boxes[i].scrollIntoView({block:"center",inline:"center"});byId("detail").textContent=`${n.name} (${n.op})\npartition ${n.partition} on ${deviceOf(n.partition)}${n.pinned?", pinned":""}\nresult ${n.type}\nkernel ${n.kernel||"chosen by the device"}\nzeros ${(100*n.zeros).toFixed(1)}%\npredicted ${number(n.predicted_ms)} ms, measured ${number(n.measured_ms)} ms`}
let found=-1;byId("search").onkeydown=e=>{if(e.key==="Enter")find(found+1)};byId("search").oninput=()=>find(0);
function find(start){const word=byId("search").value.toLowerCase();if(!word)return;const c=plan.nodes.length;for(let k=0;k<c;++k){const i=(start+k)%c;if(plan.nodes[i].name.toLowerCase().includes(word)||plan.nodes[i].op.toLowerCase()===word){found=i;show(i,true);return}}byId("detail").textContent="no node has that in its name"}
</script></body></html>
)html";

/// JSON inside a script element: nothing in it may look like the element's end.
std::string embeddable(const OrderedJson& json) {
  std::string safe;
  for (const char c : json.dump(-1, ' ', true, OrderedJson::error_handler_t::replace)) {
    if (c == '<' || c == '>' || c == '&') {
      constexpr const char* kDigits = "0123456789abcdef";
      safe += "\\u00";
      safe += kDigits[static_cast<unsigned char>(c) >> 4];
      safe += kDigits[static_cast<unsigned char>(c) & 15];
    } else {
      safe += c;
    }
  }
  return safe;
}

OrderedJson node_json(const Graph& graph, NodeId id, int partition, bool pinned, const std::string& kernel,
                      const NodeFacts& facts) {
  const Node& node = graph.node(id);
  auto reads = OrderedJson::array();
  for (const auto& list : {&node.inputs, &node.captures}) {
    for (const ValueId value : *list) {
      if (value == kNoValue || graph.value(value).constant) continue;
      if (const auto producer = graph.producer(value)) reads.push_back(*producer);
    }
  }
  const bool typed = !node.outputs.empty() && node.outputs[0] != kNoValue;
  return {{"name", node.name},
          {"op", node.op},
          {"partition", partition},
          {"pinned", pinned},
          {"type", typed ? to_string(graph.value(node.outputs[0]).type) : std::string()},
          {"kernel", facts.kernel.empty() ? kernel : facts.kernel},
          {"zeros", facts.zeros},
          {"predicted_ms", facts.predicted_ms},
          {"measured_ms", facts.measured_ms},
          {"reads", std::move(reads)}};
}

}  // namespace

std::string plan_to_html(const Plan& plan, const Graph& graph, const PlanFindings& findings) {
  OrderedJson json = {{"graph", graph.name()},
                      {"policy", plan.policy},
                      {"objective", plan.objective},
                      {"predicted_ms", plan.predicted_s * 1e3},
                      {"lower_bound_ms", plan.lower_bound_s * 1e3}};
  std::vector<int> partition_of(graph.nodes().size(), 0);
  std::vector<bool> pinned(graph.nodes().size(), false);
  std::vector<std::string> kernel(graph.nodes().size());
  json["partitions"] = OrderedJson::array();
  for (std::size_t p = 0; p < plan.partitions.size(); ++p) {
    const PlannedPartition& partition = plan.partitions[p];
    double zeros = 0;
    for (std::size_t i = 0; i < partition.nodes.size(); ++i) {
      partition_of[partition.nodes[i]] = static_cast<int>(p);
      if (i < partition.kernels.size()) kernel[partition.nodes[i]] = partition.kernels[i];
      if (partition.nodes[i] < findings.nodes.size()) zeros = std::max(zeros, findings.nodes[partition.nodes[i]].zeros);
    }
    for (const NodeId id : partition.pinned) pinned[id] = true;
    json["partitions"].push_back(
        {{"device", partition.device},
         {"rank", partition.rank},
         {"nodes", partition.nodes.size()},
         {"reason", partition.reason},
         {"zeros", zeros},
         {"weight_bytes", partition.weight_bytes},
         {"confidence", partition.confidence},
         {"predicted_ms", partition.predicted_s * 1e3},
         {"measured_ms", p < findings.partition_measured_ms.size() ? findings.partition_measured_ms[p] : -1.0}});
  }
  json["nodes"] = OrderedJson::array();
  for (std::size_t id = 0; id < graph.nodes().size(); ++id) {
    json["nodes"].push_back(node_json(graph, static_cast<NodeId>(id), partition_of[id], pinned[id], kernel[id],
                                      id < findings.nodes.size() ? findings.nodes[id] : NodeFacts{}));
  }
  json["edges"] = OrderedJson::array();
  for (const PlannedEdge& edge : plan.edges) {
    json["edges"].push_back({{"value", graph.value(edge.value).name},
                             {"from", edge.from},
                             {"to", edge.to},
                             {"bytes", edge.bytes},
                             {"ms", edge.predicted_s * 1e3}});
  }
  return kHead + embeddable(json) + kTail;
}

}  // namespace sparse_run
