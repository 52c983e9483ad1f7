"""The registers of the SunSpec models that Yui reads, as tables.

One line a point: offset in registers from the model's first one (its ID), name, type, the
point that holds its scale factor, unit, and flags: M mandatory, W may be written. Offsets
0 and 1 are the model's ID and length in every model. Groups that repeat (the DC ports at
the end of 714) are left out.
Source: SunSpec Alliance, information models, github.com/sunspec/models (Apache-2.0).
"""

from __future__ import annotations

TABLES: dict[int, str] = {
    # common: who made the device
    1: """
          2 Mn                string16   -                -             M
         18 Md                string16   -                -             M
         34 Opt               string8    -                -             -
         42 Vr                string8    -                -             -
         50 SN                string16   -                -             M
         66 DA                uint16     -                -             W
         67 Pad               pad        -                -             -
    """,
    # inverter, three phase
    103: """
          2 A                 uint16     A_SF             A             M
          3 AphA              uint16     A_SF             A             M
          4 AphB              uint16     A_SF             A             M
          5 AphC              uint16     A_SF             A             M
          6 A_SF              sunssf     -                -             M
          7 PPVphAB           uint16     V_SF             V             -
          8 PPVphBC           uint16     V_SF             V             -
          9 PPVphCA           uint16     V_SF             V             -
         10 PhVphA            uint16     V_SF             V             M
         11 PhVphB            uint16     V_SF             V             M
         12 PhVphC            uint16     V_SF             V             M
         13 V_SF              sunssf     -                -             M
         14 W                 int16      W_SF             W             M
         15 W_SF              sunssf     -                -             M
         16 Hz                uint16     Hz_SF            Hz            M
         17 Hz_SF             sunssf     -                -             M
         18 VA                int16      VA_SF            VA            -
         19 VA_SF             sunssf     -                -             -
         20 VAr               int16      VAr_SF           var           -
         21 VAr_SF            sunssf     -                -             -
         22 PF                int16      PF_SF            Pct           -
         23 PF_SF             sunssf     -                -             -
         24 WH                acc32      WH_SF            Wh            M
         26 WH_SF             sunssf     -                -             M
         27 DCA               uint16     DCA_SF           A             -
         28 DCA_SF            sunssf     -                -             -
         29 DCV               uint16     DCV_SF           V             -
         30 DCV_SF            sunssf     -                -             -
         31 DCW               int16      DCW_SF           W             -
         32 DCW_SF            sunssf     -                -             -
         33 TmpCab            int16      Tmp_SF           C             M
         34 TmpSnk            int16      Tmp_SF           C             -
         35 TmpTrns           int16      Tmp_SF           C             -
         36 TmpOt             int16      Tmp_SF           C             -
         37 Tmp_SF            sunssf     -                -             M
         38 St                enum16     -                -             M
         39 StVnd             enum16     -                -             -
         40 Evt1              bitfield32 -                -             M
         42 Evt2              bitfield32 -                -             M
         44 EvtVnd1           bitfield32 -                -             -
         46 EvtVnd2           bitfield32 -                -             -
         48 EvtVnd3           bitfield32 -                -             -
         50 EvtVnd4           bitfield32 -                -             -
    """,
    # storage, basic control
    124: """
          2 WChaMax           uint16     WChaMax_SF       W             MW
          3 WChaGra           uint16     WChaDisChaGra_SF %_WChaMax/sec MW
          4 WDisChaGra        uint16     WChaDisChaGra_SF %_WChaMax/sec MW
          5 StorCtl_Mod       bitfield16 -                -             MW
          6 VAChaMax          uint16     VAChaMax_SF      VA            W
          7 MinRsvPct         uint16     MinRsvPct_SF     %_WChaMax     W
          8 ChaState          uint16     ChaState_SF      %_AhrRtg      -
          9 StorAval          uint16     StorAval_SF      AH            -
         10 InBatV            uint16     InBatV_SF        V             -
         11 ChaSt             enum16     -                -             -
         12 OutWRte           int16      InOutWRte_SF     %_WDisChaMax  W
         13 InWRte            int16      InOutWRte_SF     %_WChaMax     W
         14 InOutWRte_WinTms  uint16     -                Secs          W
         15 InOutWRte_RvrtTms uint16     -                Secs          W
         16 InOutWRte_RmpTms  uint16     -                Secs          W
         17 ChaGriSet         enum16     -                -             W
         18 WChaMax_SF        sunssf     -                -             M
         19 WChaDisChaGra_SF  sunssf     -                -             M
         20 VAChaMax_SF       sunssf     -                -             -
         21 MinRsvPct_SF      sunssf     -                -             -
         22 ChaState_SF       sunssf     -                -             -
         23 StorAval_SF       sunssf     -                -             -
         24 InBatV_SF         sunssf     -                -             -
         25 InOutWRte_SF      sunssf     -                -             -
    """,
    # meter, three phase and neutral
    203: """
          2 A                 int16      A_SF             A             M
          3 AphA              int16      A_SF             A             M
          4 AphB              int16      A_SF             A             M
          5 AphC              int16      A_SF             A             M
          6 A_SF              sunssf     -                -             M
          7 PhV               int16      V_SF             V             M
          8 PhVphA            int16      V_SF             V             M
          9 PhVphB            int16      V_SF             V             M
         10 PhVphC            int16      V_SF             V             M
         11 PPV               int16      V_SF             V             M
         12 PhVphAB           int16      V_SF             V             M
         13 PhVphBC           int16      V_SF             V             M
         14 PhVphCA           int16      V_SF             V             M
         15 V_SF              sunssf     -                -             M
         16 Hz                int16      Hz_SF            Hz            M
         17 Hz_SF             sunssf     -                -             -
         18 W                 int16      W_SF             W             M
         19 WphA              int16      W_SF             W             -
         20 WphB              int16      W_SF             W             -
         21 WphC              int16      W_SF             W             -
         22 W_SF              sunssf     -                -             M
         23 VA                int16      VA_SF            VA            -
         24 VAphA             int16      VA_SF            VA            -
         25 VAphB             int16      VA_SF            VA            -
         26 VAphC             int16      VA_SF            VA            -
         27 VA_SF             sunssf     -                -             -
         28 VAR               int16      VAR_SF           var           -
         29 VARphA            int16      VAR_SF           var           -
         30 VARphB            int16      VAR_SF           var           -
         31 VARphC            int16      VAR_SF           var           -
         32 VAR_SF            sunssf     -                -             -
         33 PF                int16      PF_SF            Pct           -
         34 PFphA             int16      PF_SF            Pct           -
         35 PFphB             int16      PF_SF            Pct           -
         36 PFphC             int16      PF_SF            Pct           -
         37 PF_SF             sunssf     -                -             -
         38 TotWhExp          acc32      TotWh_SF         Wh            M
         40 TotWhExpPhA       acc32      TotWh_SF         Wh            -
         42 TotWhExpPhB       acc32      TotWh_SF         Wh            -
         44 TotWhExpPhC       acc32      TotWh_SF         Wh            -
         46 TotWhImp          acc32      TotWh_SF         Wh            M
         48 TotWhImpPhA       acc32      TotWh_SF         Wh            -
         50 TotWhImpPhB       acc32      TotWh_SF         Wh            -
         52 TotWhImpPhC       acc32      TotWh_SF         Wh            -
         54 TotWh_SF          sunssf     -                -             M
         55 TotVAhExp         acc32      TotVAh_SF        VAh           -
         57 TotVAhExpPhA      acc32      TotVAh_SF        VAh           -
         59 TotVAhExpPhB      acc32      TotVAh_SF        VAh           -
         61 TotVAhExpPhC      acc32      TotVAh_SF        VAh           -
         63 TotVAhImp         acc32      TotVAh_SF        VAh           -
         65 TotVAhImpPhA      acc32      TotVAh_SF        VAh           -
         67 TotVAhImpPhB      acc32      TotVAh_SF        VAh           -
         69 TotVAhImpPhC      acc32      TotVAh_SF        VAh           -
         71 TotVAh_SF         sunssf     -                -             -
         72 TotVArhImpQ1      acc32      TotVArh_SF       varh          -
         74 TotVArhImpQ1PhA   acc32      TotVArh_SF       varh          -
         76 TotVArhImpQ1PhB   acc32      TotVArh_SF       varh          -
         78 TotVArhImpQ1PhC   acc32      TotVArh_SF       varh          -
         80 TotVArhImpQ2      acc32      TotVArh_SF       varh          -
         82 TotVArhImpQ2PhA   acc32      TotVArh_SF       varh          -
         84 TotVArhImpQ2PhB   acc32      TotVArh_SF       varh          -
         86 TotVArhImpQ2PhC   acc32      TotVArh_SF       varh          -
         88 TotVArhExpQ3      acc32      TotVArh_SF       varh          -
         90 TotVArhExpQ3PhA   acc32      TotVArh_SF       varh          -
         92 TotVArhExpQ3PhB   acc32      TotVArh_SF       varh          -
         94 TotVArhExpQ3PhC   acc32      TotVArh_SF       varh          -
         96 TotVArhExpQ4      acc32      TotVArh_SF       varh          -
         98 TotVArhExpQ4PhA   acc32      TotVArh_SF       varh          -
        100 TotVArhExpQ4PhB   acc32      TotVArh_SF       varh          -
        102 TotVArhExpQ4PhC   acc32      TotVArh_SF       varh          -
        104 TotVArh_SF        sunssf     -                -             -
        105 Evt               bitfield32 -                -             M
    """,
    # storage capacity
    713: """
          2 WHRtg             uint16     WH_SF            WH            -
          3 WHAvail           uint16     WH_SF            WH            -
          4 SoC               uint16     Pct_SF           Pct           -
          5 SoH               uint16     Pct_SF           Pct           -
          6 Sta               enum16     -                -             -
          7 WH_SF             sunssf     -                -             -
          8 Pct_SF            sunssf     -                -             -
    """,
    # DC measurement
    714: """
          2 PrtAlrms          bitfield32 -                -             -
          4 NPrt              uint16     -                -             -
          5 DCA               int16      DCA_SF           A             -
          6 DCW               int16      DCW_SF           W             -
          7 DCWhInj           uint64     DCWH_SF          Wh            -
         11 DCWhAbs           uint64     DCWH_SF          Wh            -
         15 DCA_SF            sunssf     -                -             -
         16 DCV_SF            sunssf     -                -             -
         17 DCW_SF            sunssf     -                -             -
         18 DCWH_SF           sunssf     -                -             -
         19 Tmp_SF            sunssf     -                -             -
    """,
    # battery
    802: """
          2 AHRtg             uint16     AHRtg_SF         Ah            M
          3 WHRtg             uint16     WHRtg_SF         Wh            M
          4 WChaRteMax        uint16     WChaDisChaMax_SF W             M
          5 WDisChaRteMax     uint16     WChaDisChaMax_SF W             M
          6 DisChaRte         uint16     DisChaRte_SF     %WHRtg        -
          7 SoCMax            uint16     SoC_SF           %WHRtg        -
          8 SoCMin            uint16     SoC_SF           %WHRtg        -
          9 SocRsvMax         uint16     SoC_SF           %WHRtg        W
         10 SoCRsvMin         uint16     SoC_SF           %WHRtg        W
         11 SoC               uint16     SoC_SF           %WHRtg        M
         12 DoD               uint16     DoD_SF           %             -
         13 SoH               uint16     SoH_SF           %             -
         14 NCyc              uint32     -                -             -
         16 ChaSt             enum16     -                -             -
         17 LocRemCtl         enum16     -                -             M
         18 Hb                uint16     -                -             -
         19 CtrlHb            uint16     -                -             W
         20 AlmRst            uint16     -                -             MW
         21 Typ               enum16     -                -             M
         22 State             enum16     -                -             M
         23 StateVnd          enum16     -                -             -
         24 WarrDt            uint32     -                -             -
         26 Evt1              bitfield32 -                -             M
         28 Evt2              bitfield32 -                -             M
         30 EvtVnd1           bitfield32 -                -             M
         32 EvtVnd2           bitfield32 -                -             M
         34 V                 uint16     V_SF             V             M
         35 VMax              uint16     V_SF             V             -
         36 VMin              uint16     V_SF             V             -
         37 CellVMax          uint16     CellV_SF         V             -
         38 CellVMaxStr       uint16     -                -             -
         39 CellVMaxMod       uint16     -                -             -
         40 CellVMin          uint16     CellV_SF         V             -
         41 CellVMinStr       uint16     -                -             -
         42 CellVMinMod       uint16     -                -             -
         43 CellVAvg          uint16     CellV_SF         V             -
         44 A                 int16      A_SF             A             M
         45 AChaMax           uint16     AMax_SF          A             -
         46 ADisChaMax        uint16     AMax_SF          A             -
         47 W                 int16      W_SF             W             M
         48 ReqInvState       enum16     -                -             -
         49 ReqW              int16      W_SF             W             -
         50 SetOp             enum16     -                -             MW
         51 SetInvState       enum16     -                -             MW
         52 AHRtg_SF          sunssf     -                -             M
         53 WHRtg_SF          sunssf     -                -             M
         54 WChaDisChaMax_SF  sunssf     -                -             M
         55 DisChaRte_SF      sunssf     -                -             -
         56 SoC_SF            sunssf     -                -             M
         57 DoD_SF            sunssf     -                -             -
         58 SoH_SF            sunssf     -                -             -
         59 V_SF              sunssf     -                -             M
         60 CellV_SF          sunssf     -                -             M
         61 A_SF              sunssf     -                -             M
         62 AMax_SF           sunssf     -                -             M
         63 W_SF              sunssf     -                -             -
    """,
}
