import { DataTypes, type Sequelize } from 'sequelize'

export const defineNote = (sequelize: Sequelize) =>
  sequelize.define(
    'note',
    {
      id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
      text: { type: DataTypes.TEXT, allowNull: false },
    },
    { freezeTableName: true, timestamps: false },
  )
