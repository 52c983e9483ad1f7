"""What the pages of batteries and the audit say, in English and Japanese."""

from __future__ import annotations

PLANT_WORDS = {
    # Battery
    "battery_title": ("Battery, {site}", "{site} 蓄電池"),
    "round_trip": ("round trip", "充放電効率"),
    "planned": ("planned", "計画"),
    "actual": ("measured", "実績"),
    "cycles": ("Full cycles so far", "累積サイクル数"),
    "worn": ("Worn so far", "累積劣化費用"),
    "life_used": ("Life used", "消費した寿命"),
    "chemistry_lfp": ("LFP (lithium iron phosphate)", "リン酸鉄リチウム(LFP)"),
    "chemistry_nmc": ("NMC (nickel manganese cobalt)", "三元系(NMC)"),
    "plan_and_actual": ("Plan and measurement", "計画と実績"),
    "planned_at_midnight": ("planned at midnight", "0時の計画"),
    "steered_by_plan": (
        "Steered by a plan made anew when each half hour begins; made again here from readings, "
        "books and the tariff, as it was made then.",
        "30分ごとに立て直す計画で制御。この画面の計画は、計量値・注文板・料金から当時のとおりに"
        "再計算したもの。",
    ),
    "steered_by_rule": ("Steered by the simple rule.", "単純規則で制御。"),
    "steered_by_own-use": (
        "Steered for own use first: it stores all surplus and serves what the site lacks.",
        "自家消費優先で制御（余剰を全て蓄え、不足に充てる）。",
    ),
    "steered_by_none": ("Nobody steers it.", "制御なし。"),
    "steered_unsaid": (
        "The store does not say who steered: taken to be the plan.",
        "制御方法の記録がないため、計画による制御とみなした。",
    ),
    "kept_to": (
        "It did what it was told in {kept} of {read} half hours.",
        "計量された{read}コマのうち{kept}コマで指令どおり。",
    ),
    "kept_to_calls": (
        "{called} of them answered a balancing call besides.",
        "うち{called}コマは調整指令にも応じた。",
    ),
    "kept_to_column": ("as told", "指令どおり"),
    "called_besides": ("called for besides", "調整指令による上乗せ"),
    "calls": ("Balancing calls", "調整指令"),
    "call_name": ("Call", "指令"),
    "call_direction": ("Direction", "方向"),
    "call_up": ("up: more out of the battery", "上げ(放電増)"),
    "call_down": ("down: less out of the battery", "下げ(充電増)"),
    "call_asked": ("Asked of this battery", "この蓄電池への指令量"),
    "call_given": ("Given beyond the plan", "計画を超えた実績"),
    "calls_how": (
        "The grid's calls come on top of the plan: what they asked of this battery, and by how "
        "much it exceeded what its plan told it in those half hours.",
        "調整指令は計画に上乗せされる。指令量と、その時間帯に計画からの増分として実際に"
        "出した量を示す。",
    ),
    "basis_alone": (
        "What the other sites would need is left out here: there are too many.",
        "他拠点の需要は拠点数が多いためここでは考慮していない。",
    ),
    "basis_days": (
        "Its forecast rests on readings of {days} days before.",
        "予測は前{days}日分の計量値による。",
    ),
    "basis_stand_in": (
        "For {days} days it rests on the series that plays this office.",
        "過去の計量値がない{days}日分は、この庁舎を模擬する時系列で補った。",
    ),
    "basis_proved": (
        "Each was optimised by {by} and proved to be within {gap} JPY of the best there is.",
        "各計画は数理最適化({by})で求め、最適値との差は{gap}円以内と確認済み。",
    ),
    "basis_rule": (
        "The safe rule stands in: self-consumption.",
        "安全則(自家消費)による代行。",
    ),
    "no_plan": (
        "No plan: the sites file does not describe this battery.",
        "計画なし: 拠点ファイルにこの蓄電池の記載がない。",
    ),
    "flow_text": (
        "Charged {charged} kWh (planned {plan_charged}), discharged {discharged} kWh (planned "
        "{plan_discharged}). Charging is drawn up, discharging down.",
        "充電{charged} kWh(計画{plan_charged})、放電{discharged} kWh(計画{plan_discharged})。"
        "上が充電、下が放電。",
    ),
    "stored_by_hour": ("Stored", "蓄電残量"),
    "stored_text": (
        "Between {least} and {most} kWh of {capacity} kWh.",
        "容量{capacity} kWhのうち{least}~{most} kWh。",
    ),
    "value": ("What a stored kWh is worth", "蓄えた1 kWhの価値"),
    "value_text": (
        "The plan's prices by half hour: it charges while a kWh at the meter is worth less than "
        "one line, and discharges while it is worth more than the other.",
        "計画の30分ごとの価格。受電点の価値が充電の線を下回れば充電、放電の線を上回れば放電する。",
    ),
    "value_how": (
        "What one more kWh would save, as the plan's optimisation says (its duals). While the "
        "worth at the meter lies between the two thresholds, moving energy would cost more in "
        "losses and wear than it brings, and the battery rests.",
        "あと1 kWhで節約できる額を計画の最適化(双対変数)から求めたもの。受電点の価値が"
        "充電の上限と放電の下限の間にあるうちは、損失と劣化に見合わないため充放電しない。",
    ),
    "worth_at_meter": ("a kWh at the meter", "受電点の1 kWh"),
    "worth_stored": ("a stored kWh", "蓄えた1 kWh"),
    "charges_below": ("charges below", "充電する上限"),
    "discharges_above": ("discharges above", "放電する下限"),
    "why": ("Why", "計画の理由"),
    "why_day": ("The plan's reasons on this day", "この日の計画の理由"),
    "reason": ("Reason", "理由"),
    "meaning": ("What it means", "意味"),
    "half_hours": ("Half hours", "コマ数"),
    "by_half_hour": ("By half hour", "30分ごとの値"),
    "why_surplus": ("stores surplus sun", "余剰を蓄電"),
    "why_own_use": ("spares buying", "買電の代わり"),
    "why_spread": ("price spread pays", "価格差"),
    "why_peak": ("keeps the peak down", "ピーク抑制"),
    "why_reserve": ("holds reserve", "調整力の確保"),
    "why_limit": ("keeps to the connection", "受電容量の制約"),
    "why_call": ("answers a call", "調整指令"),
    "why_wear": ("wear costs more", "劣化が上回る"),
    "why_full": ("full", "満充電"),
    "why_empty": ("empty", "空"),
    "why_power": ("at its power", "出力上限"),
    "why_no_spread": ("no spread", "価格差なし"),
    "why_either": ("as good either way", "どちらでも同じ"),
    "why_rule": ("self-consumption", "自家消費"),
    "whylong_surplus": (
        "What it charges would else be sold for less than it is worth later.",
        "余剰を売るより、後で使うほうが価値が高い。",
    ),
    "whylong_own_use": (
        "What it gives would else be bought for more than it is worth later.",
        "買電するより、蓄電分を使うほうが安い。",
    ),
    "whylong_spread": (
        "Another half hour's price is far enough off to pay for losses and wear.",
        "他の時間帯との価格差が、損失と劣化を上回る。",
    ),
    "whylong_peak": (
        "Without the demand charge it would rest.",
        "デマンド料金がなければ待機する。",
    ),
    "whylong_reserve": ("Its power or energy is promised.", "出力または残量を確保している。"),
    "whylong_limit": ("The connection carries no more.", "受電点の容量に達する。"),
    "whylong_call": ("The grid asked.", "系統側からの要請。"),
    "whylong_wear": (
        "The spread would pay for the losses, but not for the wear of a cycle.",
        "価格差は損失には見合うが、サイクル劣化には見合わない。",
    ),
    "whylong_full": ("It can store no more.", "これ以上蓄えられない。"),
    "whylong_empty": ("It has nothing left to give.", "放電できる残量がない。"),
    "whylong_power": ("It gives or takes all that it can.", "出力の上限で充放電している。"),
    "whylong_no_spread": (
        "No other half hour's price is far enough off: it rests.",
        "見合う価格差がなく、待機する。",
    ),
    "whylong_either": (
        "Moving it now or resting costs the same: another plan is as good.",
        "充放電しても待機しても損得が同じで、他の計画も同等である。",
    ),
    "whylong_rule": ("Surplus is stored, and used when needed.", "余剰を蓄え、必要時に使う。"),
    "wear_by_day": ("Wear by day", "日ごとの劣化費用"),
    "wear_text": (
        "What each of the last {days} days took of the battery's life, in yen.",
        "直近{days}日の各日が蓄電池の寿命から消費した分(円)。",
    ),
    "wear_how": (
        "By depth of cycling and the time that energy is held, as published for {chemistry}; an "
        "estimate until the maker's data are put in.",
        "{chemistry}の公表値に基づく、サイクル深度と保持した電力量・時間による推定。"
        "メーカー値を設定すれば置き換わる。",
    ),
    "cycling": ("cycling", "サイクル劣化"),
    "standing": ("holding energy", "保存劣化"),
    # Audit
    "newest_block": ("Newest block", "最新ブロック"),
    "final_block": ("Final up to block", "確定ブロック"),
    "settled_slots": ("Settled half hours", "精算済コマ数"),
    "final_slots": ("Of them final", "うち確定"),
    "checks_of_day": ("This day, checked again", "この日の再検査"),
    "rule": ("Rule", "規則"),
    "holds": ("Holds", "成立"),
    "verdict": ("Verdict", "判定"),
    "fine": ("holds", "適合"),
    "wrong": ("DOES NOT HOLD", "不適合"),
    "not_all": ("not all", "一部"),
    "stands": ("stands", "成立"),
    "not_yet": ("not yet", "未了"),
    "checks_how": (
        "Computed on this page from the store, which an orchestrator has indexed. Who trusts "
        "nobody runs the audit below against a node of their own.",
        "運用側が索引したストアからこのページが計算した結果。第三者に頼らず確かめるには、"
        "自身のノードに対して下の監査を実行する。",
    ),
    "check_readings": ("A reading has come from each office", "全庁舎の計量値がある"),
    "check_recomputed": (
        "Price and trades follow from the book",
        "価格・約定が注文板から再現できる",
    ),
    "check_ledger": ("All accounts of a half hour sum to zero", "各コマの全口座の合計が0"),
    "check_delivered": (
        "No office delivers more than it exported",
        "受渡が送電量を超えない",
    ),
    "check_origins": (
        "What was used, by origin, is what the meter says",
        "由来別の消費の合計が計量値と一致",
    ),
    "check_final": ("Settlements can no longer vanish", "精算が確定済み"),
    "check_roots": ("Attested roots are the computed one", "認証されたルートが計算値と一致"),
    "attested_by": ("Attested by", "認証した庁舎"),
    "root_here": ("Root, computed from the day's rows", "当日の明細から計算したルート"),
    "root_attested": ("Root attested", "認証されたルート"),
    "compared": ("Compared with the computed one", "計算値との照合"),
    "claimed": ("Claimed of this day", "この日の償却済電力量"),
    "last_audit": ("Last audit of the chain", "チェーンの最終監査"),
    "audit_ended_well": ("nothing wrong", "異常なし"),
    "audit_up_to": (
        "Every transaction from the first block up to {block} was run again.",
        "最初のブロックから{block}までの全トランザクションを再実行した。",
    ),
    "no_audit": (
        "No audit is kept beside this store.",
        "このストアの隣に監査結果は保存されていない。",
    ),
    "count_blocks": ("blocks", "ブロック"),
    "count_transactions": ("transactions run again", "再実行したトランザクション"),
    "count_signatures": ("signatures", "署名"),
    "count_orders": ("orders", "注文"),
    "count_trades": ("trades", "約定"),
    "count_readings": ("readings", "計量値"),
    "count_missed": ("readings that did not come", "欠測"),
    "count_corrections": ("corrections", "訂正"),
    "count_slots": ("half hours settled", "精算したコマ"),
    "count_flows": ("flows", "融通"),
    "count_origin_rows": ("rows of origin", "由来の明細"),
    "count_balances": ("balances", "残高"),
    "count_roots": ("roots of days", "日別ルート"),
    "count_attestations": ("attestations", "ルートの認証"),
    "count_claims": ("claims", "償却"),
    "count_claimed_wh": ("Wh claimed", "償却された電力量(Wh)"),
    "check_yourself": ("Check it yourself", "自分で確かめる"),
    "check_yourself_text": (
        "Nobody's word is needed: these commands read the chain itself, from any node.",
        "他者を信頼する必要はない。次のコマンドは任意のノードからチェーンを直接読み取る。",
    ),
    "audit_run": ("Run every transaction again", "全トランザクションを再実行"),
    "audit_prove": ("Write the proof of a half hour", "ある時間帯の証明を書き出す"),
    "audit_verify": ("Check a proof against a node", "証明をノードと照合"),
    "audit_trace": ("Follow energy to its roof", "電力を発電元までたどる"),
    "market_contract": ("Market contract", "市場コントラクト"),
    "origin_contract": ("Ledger of origins", "由来台帳コントラクト"),
    "chain_number": ("Chain", "チェーンID"),
    "roots_of_month": ("Roots of the days", "日別ルート"),
    "attesting": ("Attesting", "認証数"),
    "dissenting": ("Dissenting", "異なる認証"),
    "roots_how": (
        "A root is one number that stands for all rows of a day: if a row were changed, it would "
        "be another one. It stands once two thirds of the offices attest it. Claimed is what an "
        "office has used up as its renewable energy, once.",
        "ルートは1日分の全明細を代表する1つの値で、明細が1つでも変われば別の値になる。"
        "庁舎の3分の2以上が認証すると成立する。償却は、再生可能エネルギーとして1回限り"
        "使用済みにすること。",
    ),
}
